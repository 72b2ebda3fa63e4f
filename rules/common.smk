import os
import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)
# Scripts run in their own process and use this checkout, whatever else is installed.
os.environ["PYTHONPATH"] = os.pathsep.join([workflow.basedir, *filter(None, [os.environ.get("PYTHONPATH")])])

from workflow_scripts import config as settings
from workflow_scripts.provenance import stage_hash

try:
    cfg = settings.load(config)
except settings.ConfigError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{cfg.run}"
GENERATED = [name for name, source in cfg.images.items() if source.kind == "ellipses"]
FROM_FILES = [name for name, source in cfg.images.items() if source.kind == "files"]
TUNED = [name for name, method in cfg.methods.items() if method.tune is not None]


wildcard_constraints:
    source="|".join(cfg.images),
    method="|".join(cfg.methods),
    mask="|".join(cfg.masks),
    position=r"\d+",


def stage(script, rule_name, roots=()):
    """How to compute the hash of a rule's source: a job does so again before it works."""
    return {"script": f"workflow_scripts/{script}", "rule": f"rules/{rule_name}", "roots": sorted(roots)}


def source_of(described):
    """The hash of a stage."""
    return stage_hash(described["script"], described["rule"], tuple(described["roots"]))


def fixed(described):
    """Params of a rule whose source does not depend on its wildcards."""
    return {"stage": described, "source": source_of(described)}


def image_file(source, position):
    return f"{RUN}/images/{source}/test/{position}.h5"


def tuning_of(wildcards):
    """The tuned parameter that images of a source are reconstructed with; nothing for untuned methods."""
    if wildcards.method not in TUNED:
        return []
    validation = cfg.validation_of(wildcards.source)
    return f"{RUN}/tuning/{wildcards.method}/{wildcards.mask}/{validation}.json"


def method_spec(method):
    """What of a method's config changes its results."""
    found = cfg.methods[method]
    tuned = found.tune.parameter if found.tune else None
    return {"reconstructor": found.reconstructor, "parameters": found.parameters, "tuned": tuned}


def attack_spec(method, attack):
    """What of an attack's config changes its results, with the search that the method or attack names."""
    found = cfg.attacks[attack].model_dump(exclude={"masks", "methods"})
    return found | {"search": cfg.search_of(method, attack)}


def pairs():
    """Every method with each of its masks."""
    return [(method, mask) for method in cfg.methods for mask in cfg.masks_of(method)]


def positions():
    """Every test image as (source, position)."""
    return [(source, position) for source in cfg.images for position in range(cfg.count(source))]


def all_outputs():
    """Everything that the config asks for."""
    tables = [f"{RUN}/tables/{quantity}.{kind}" for quantity in QUANTITIES for kind in TABLE_KINDS]
    pictures = [
        f"{RUN}/figures/{name}-{example.source}-{example.position}.{kind}"
        for name in PICTURES
        for example in cfg.figures.examples
        for kind in ("pdf", "png")
    ]
    curves = [f"{RUN}/figures/{name}.{kind}" for name in CURVES for kind in ("pdf", "png")]
    studies = [f"{RUN}/figures/study-{name}.{kind}" for name in STUDIES for kind in ("pdf", "png")]
    return tables + pictures + curves + studies
