import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from workflow_scripts import config as settings
from workflow_scripts.job import use_checkout
from workflow_scripts.provenance import stage_hash

use_checkout(workflow.basedir)

try:
    cfg = settings.load(config)
except settings.ConfigError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{cfg.run}"
GENERATED = [name for name, source in cfg.images.items() if source.kind == "ellipses"]
FROM_FILES = [name for name, source in cfg.images.items() if source.kind == "files"]
TUNED = [name for name, method in cfg.methods.items() if method.tune is not None]
QUANTITIES = ["amplification", "severity", "relative_error"]
TABLE_KINDS = ["csv", "md", "tex"]
PICTURES = ["noise", "mask", "attack", "levels", "map"]
CURVES = ["error", "amplification", "weight"]
STUDIES = {name: study for name, study in cfg.studies if study is not None}


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


def positions(mask):
    """Every test image under a mask as (source, position)."""
    return [(source, position) for source in cfg.sources_of(mask) for position in range(cfg.count(source))]


def local_files(wildcards):
    """Files that Snakemake can watch: paths, not names inside packages."""
    return [path for path in cfg.images[wildcards.source].files if ":" not in path]


def tuning_stage(wildcards):
    return stage("tune.py", "tuning.smk:tune", [cfg.methods[wildcards.method].reconstructor])


def configured(wildcards):
    """The attacks that the config asks for on a method."""
    names = cfg.attacks_of(wildcards.method, wildcards.mask)
    attacks = {name: attack_spec(wildcards.method, name) for name in names}
    return attacks, cfg.levels, [1.0]


def radius_attacks(wildcards):
    """The disk attack at every radius, its one-pixel limit, and the global attack."""
    study = cfg.studies.radius
    search = cfg.methods[study.method].search
    common = {"kind": "localized", "grid": study.grid, "select": "clean", "search": search}
    attacks = {
        f"disk-{radius:g}": common | {"objective": "disk", "disk_radius": radius} for radius in study.radii
    }
    attacks["peak"] = common | {"objective": "peak", "disk_radius": 0.0}
    attacks["global"] = {"kind": "global", "steps": 100, "restarts": 2, "search": search}
    return attacks, [study.level], [1.0]


def weight_attacks(wildcards):
    """The study's attacks at every multiple of the tuned weight."""
    study = cfg.studies.weight
    attacks = {name: attack_spec(study.method, name) | {"grid": study.grid} for name in study.attacks}
    return attacks, study.levels, study.factors


def attack_params(rule_name, chosen):
    """Params of an attack rule, each a function of the wildcards.

    `sources` are the hashes that the units of each attack carry: they know only the method's class and the
    attack's search, so that a change of one search leaves the units of the others.
    """

    def roots_of(wildcards):
        reconstructor = [cfg.methods[wildcards.method].reconstructor]
        searches = {
            name: attack["search"] for name, attack in attacks_of(wildcards).items() if "search" in attack
        }
        named = {
            name: reconstructor + [path for path in [searches.get(name)] if path]
            for name in attacks_of(wildcards)
        }
        return named | {"clean": reconstructor}

    def attacks_of(wildcards):
        return chosen(wildcards)[0]

    def described(wildcards):
        roots = {path for paths in roots_of(wildcards).values() for path in paths}
        return stage("attack.py", f"attacks.smk:{rule_name}", roots)

    return {
        "stage": described,
        "source": lambda wildcards: source_of(described(wildcards)),
        "sources": lambda wildcards: {
            name: stage_hash("workflow_scripts/attack.py", roots=tuple(roots))
            for name, roots in roots_of(wildcards).items()
        },
        "method": lambda wildcards: method_spec(wildcards.method),
        "attacks": attacks_of,
        "levels": lambda wildcards: chosen(wildcards)[1],
        "factors": lambda wildcards: chosen(wildcards)[2],
        "seed": cfg.seed,
        "identity": lambda wildcards: {
            "source": wildcards.source,
            "position": int(wildcards.position),
            "method": wildcards.method,
            "mask": wildcards.mask,
        },
        "units": f"{RUN}/units",
    }


def attack_memory(wildcards, attempt):
    return 4000 * attempt


def attack_runtime(wildcards, attempt):
    return 60 * attempt


def attack_files(wildcards):
    return [
        f"{RUN}/attacks/{wildcards.method}/{wildcards.mask}/{source}/{position}.h5"
        for source, position in positions(wildcards.mask)
    ]


def score_files():
    return [f"{RUN}/scores/{method}/{mask}.csv" for method, mask in pairs()]


def table_note():
    """What stands below every table: where the numbers come from."""
    parts = [
        "Mean ± sd over images [95 % bootstrap interval of the mean]; n images; —: not run, or all missing."
    ]
    for name, source in cfg.images.items():
        if source.validation_source:
            parts.append(
                f"Images of {name} are reconstructed with the parameters tuned on {source.validation_source}."
            )
    parts.append("The paper's numbers are for its own phantoms, networks and parameters.")
    return " ".join(parts)


def figure_method_mask():
    """Methods with a tuned parameter whose choice is drawn: the method of the figures, on its masks."""
    method = cfg.figures.method
    return [(method, mask) for mask in cfg.masks_of(method)] if method in TUNED else []


def tuning_title():
    source = cfg.validation_sources[0]
    return f"{label_of(cfg.figures.method)}, validation images of {source}, Gaussian noise"


def label_of(method):
    return cfg.methods[method].label or method


def study_files(wildcards):
    study = STUDIES[wildcards.study]
    return [
        f"{RUN}/studies/{wildcards.study}/{study.method}/{study.mask}/{study.source}/{position}.h5"
        for position in range(study.images)
    ]


def study_title(wildcards):
    study = STUDIES[wildcards.study]
    level = f", level {100 * study.level:g} %" if wildcards.study == "radius" else ""
    return f"{label_of(study.method)}, {study.mask}, {study.source}{level}, {study.grid}×{study.grid} places"


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
