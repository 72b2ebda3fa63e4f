# What every stage shares: the config, where files lie, and what the code of a rule is.
import atexit
import functools
import re
import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from workflow_scripts.meanings import MEMORY, remember
from workflow_scripts.place import place_fault

# Before anything else, which may fail for this very reason.
if fault := place_fault(workflow.basedir, sys.executable):
    raise WorkflowError(fault)

from mrilib.report.names import mask_labels, method_labels
from workflow_scripts.config import config as settings
from workflow_scripts.config.domains import Application
from workflow_scripts.config.entries import modules_of
from workflow_scripts.config.keys import check_keys
from workflow_scripts.job import use_checkout
from workflow_scripts.provenance import named_by_classes, stage_hash
from workflow_scripts.restore import restore_metadata
from workflow_scripts.runlock import RunInUse, take

use_checkout(workflow.basedir)

# In full: Snakemake has left its working folder when this process ends.
if workflow.is_main_process:
    atexit.register(remember, MEMORY.absolute())

try:
    # Jobs need not read and import what was checked when they were planned.
    if workflow.is_main_process:
        check_keys(workflow.configfiles)
    cfg = settings.load(config, classes=workflow.is_main_process, passed=Path(".snakemake/passed"))
except (settings.ConfigError, ValueError) as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{cfg.run}"
LABELS = method_labels({name: method.label for name, method in cfg.methods.items()})
MASKS = {name: mask.about for name, mask in cfg.masks.items()}
MASK_LABELS = mask_labels(MASKS)
# A method's results all stand in one order of folders: what was applied to what.
APPLIED = "{method}/{domain}/{source}/{mask}"


def any_of(names):
    """Constraint of a wildcard to names; none matches where there are none."""
    return "|".join(map(re.escape, names)) or "none"


wildcard_constraints:
    dataset=any_of(cfg.datasets),
    source=any_of(cfg.images),
    method=any_of(cfg.methods),
    mask=any_of(cfg.masks),
    domain=any_of(dict.fromkeys(each.domain for each in cfg.applications)),
    part="train|validation|test",
    position=r"\d+",


def lock_run():
    """Refuse to be the second scheduler on the run's folder."""
    try:
        take(RUN)
    except RunInUse as error:
        raise WorkflowError(str(error)) from None


def stage(script, rule_name, roots=()):
    """How to compute the code hash of a rule: a job does so again before it works."""
    return {
        "script": f"workflow_scripts/stages/{script}",
        "rule": f"rules/{rule_name}",
        "roots": sorted(roots),
    }


def code_of(described):
    """The code hash of a stage."""
    return stage_hash(described["script"], described["rule"], tuple(described["roots"]))


def fixed(described):
    """Params of a rule whose code does not depend on its wildcards."""
    return {"stage": described, "code": code_of(described)}


def by_method(script, rule_name):
    """Params of a rule whose code is that of the method as well."""

    @functools.cache
    def described(method, source):
        return stage(script, rule_name, [*roots_of(method), *solver_roots(method, source)])

    def stage_of(wildcards):
        # A job on a source is given it; one on a domain works on the domain's.
        given = getattr(wildcards, "source", None)
        return described(wildcards.method, given or cfg.domain(wildcards.domain).source)

    return {"stage": stage_of, "code": lambda wildcards: code_of(stage_of(wildcards))}


def canonical(value):
    """The same with keys in order: Snakemake compares params as text, and order means nothing in a config."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value)}
    return [canonical(each) for each in value] if isinstance(value, list) else value


def roots_of(method):
    """Import paths that a method's config names, its search apart: its class and its networks."""
    found = cfg.methods[method]
    return sorted({found.reconstructor, *modules_of(found.arguments)})


@functools.cache
def solver_roots(method, source):
    """Import paths of what a method loads to solve for one coil, or for the coils of scans."""
    return named_by_classes(tuple(roots_of(method)), "on_coils" if source in cfg.scans else "on_one_coil")


def method_spec(method):
    """What of a method's config changes its results."""
    found = cfg.methods[method]
    tuned = found.tune.parameter if found.tune else None
    return canonical({"reconstructor": found.reconstructor, "parameters": found.arguments, "tuned": tuned})


def sampling_of(mask):
    """How a mask is drawn: its class and arguments."""
    return canonical(cfg.masks[mask].described)


# Where files lie.


def measurement_file(source, mask, part, position):
    return f"{RUN}/measurements/{source}/{mask}/{part}/{position}.h5"


def tuning_file(method, domain):
    return f"{RUN}/tuning/{method}/{domain}.json"


def search_tuning_file(attack, method, domain):
    return f"{RUN}/tuning/{method}/{domain}/{attack}.json"


def training_file(method, domain, name="best.pt"):
    return f"{RUN}/training/{method}/{domain}/{name}"


def applied_file(stage_name, applied, position):
    """A file of the stages `reconstructions`, `attacks` and `transfer`."""
    return f"{RUN}/{stage_name}/{APPLIED.format(**applied._asdict())}/{position}.h5"


def spectra_file(source, mask):
    return f"{RUN}/spectra/{source}/{mask}.csv"


def feature_table(method, domain, source, mask, folder="features"):
    """Table of the small features of an application, and in another folder its maps."""
    return f"{RUN}/{folder}/{method}/{domain}/{source}/{mask}.csv"


def score_file(applied):
    return f"{RUN}/scores/{APPLIED.format(**applied._asdict())}.csv"


def boxes_file(applied):
    return f"{RUN}/boxes/{APPLIED.format(**applied._asdict())}.csv"


def annotation_file(name):
    return f"{RUN}/annotations/{name}.csv"


def application(wildcards):
    """The method, domain, source and mask of a job."""
    return Application(wildcards.method, wildcards.domain, wildcards.source, wildcards.mask)


def positions(source):
    """Of the test images of a source."""
    return range(cfg.count(source))


def test_measurement(wildcards):
    """The measurement that a job reconstructs or attacks."""
    return measurement_file(wildcards.source, wildcards.mask, "test", wildcards.position)


def validation_measurements(wildcards):
    """The measurements that a method is tuned on."""
    domain = cfg.domain(wildcards.domain)
    count = cfg.images[domain.source].validation_count
    return [measurement_file(domain.source, domain.mask, "validation", position) for position in range(count)]


def tuning_of(wildcards):
    """The tuned parameter of a method; nothing for untuned ones."""
    return tuning_file(wildcards.method, wildcards.domain) if wildcards.method in cfg.tuned else []


def checkpoint_of(wildcards):
    """The network of a trained method; nothing for the others."""
    return training_file(wildcards.method, wildcards.domain) if wildcards.method in cfg.trained else []


def kinds_of(tables, figures):
    """Tables and figures in every format."""
    return [f"{RUN}/tables/{table}.{kind}" for table in tables for kind in ("csv", "md", "tex")] + [
        f"{RUN}/figures/{figure}.{kind}" for figure in figures for kind in ("pdf", "png")
    ]
