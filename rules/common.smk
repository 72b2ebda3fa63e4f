import functools
import re
import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from workflow_scripts import config as settings
from workflow_scripts.job import use_checkout
from workflow_scripts.provenance import check_import_path, stage_hash
from workflow_scripts.runlock import RunInUse, take

use_checkout(workflow.basedir)

try:
    cfg = settings.load(config)
except settings.ConfigError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{cfg.run}"
GENERATED = [name for name, source in cfg.images.items() if source.kind == "ellipses"]
FROM_FILES = [name for name, source in cfg.images.items() if source.kind == "files"]
RADIAL = {name: mask for name, mask in cfg.masks.items() if mask.kind == "radial"}
TUNED = [name for name, method in cfg.methods.items() if method.tune is not None]
TRAINED = cfg.trained
QUANTITIES = ["amplification", "amplification_of_moduli", "severity", "severity_of_moduli", "relative_error"]
TRANSFERRED = ["amplification", "severity", "relative_error"]
TABLE_KINDS = ["csv", "md", "tex"]
FIGURE_KINDS = ["pdf", "png"]
IMAGE_PICTURES = ["noise", "mask"]
ATTACK_PICTURES = ["attack", "levels", "map"]
LABELS = {name: method.label or name for name, method in cfg.methods.items()}
# Methods share perturbations where a mask has several of them.
SHARED = [mask for mask in cfg.masks if sum(mask in cfg.masks_of(method) for method in cfg.methods) > 1]
STUDIES = {name: study for name, study in cfg.studies if study is not None}


def any_of(names):
    """Constraint of a wildcard to names; none matches where there are none."""
    return "|".join(map(re.escape, names)) or "none"


wildcard_constraints:
    dataset=any_of(cfg.datasets),
    source=any_of(cfg.images),
    method=any_of(cfg.methods),
    mask=any_of(cfg.masks),
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


def lock_run():
    """Refuse to be the second scheduler on the run's folder."""
    try:
        take(RUN)
    except RunInUse as error:
        raise WorkflowError(str(error)) from None


def image_file(source, position):
    return f"{RUN}/images/{source}/test/{position}.h5"


def measurement_file(source, part, mask, position):
    return f"{RUN}/measurements/{mask}/{source}/{part}/{position}.h5"


def tuning_of(wildcards):
    """The tuned parameter that images of a source are reconstructed with; nothing for untuned methods."""
    if wildcards.method not in TUNED:
        return []
    validation = cfg.validation_of(wildcards.source)
    return f"{RUN}/tuning/{wildcards.method}/{wildcards.mask}/{validation}.json"


def checkpoint_of(wildcards):
    """The network of a trained method; nothing for the others."""
    if wildcards.method not in TRAINED:
        return []
    return f"{RUN}/training/{wildcards.method}/{wildcards.mask}/best.pt"


def start_of(wildcards):
    """The network that a training starts from, if it names one."""
    start = cfg.methods[wildcards.method].training.start
    return [] if start is None else f"{RUN}/training/{start.method}/{wildcards.mask}/kept.pt"


def roots_of(method):
    """Import paths that a method's config names, its search apart: its class and its networks."""

    def named(value):
        if isinstance(value, dict):
            here = [value["class"]] if isinstance(value.get("class"), str) else []
            return here + [path for inner in value.values() for path in named(inner)]
        return []

    found = cfg.methods[method]
    return sorted({found.reconstructor, *named(found.parameters)})


def check_import_paths():
    """Every import path of the config leads somewhere: told now, not when a job starts."""
    searches = {method.search for method in cfg.methods.values()}
    searches |= {attack.search for attack in cfg.attacks.values() if getattr(attack, "search", None)}
    for path in sorted(searches | {path for method in cfg.methods for path in roots_of(method)}):
        try:
            check_import_path(path)
        except ValueError as error:
            raise WorkflowError(str(error)) from None


check_import_paths()


def canonical(value):
    """The same with keys in order: Snakemake compares params as text, and order means nothing in a config."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value)}
    return [canonical(each) for each in value] if isinstance(value, list) else value


def training_spec(method):
    """What of a method's config changes its training."""
    spec = cfg.methods[method].training.model_dump(exclude={"kind"})
    return canonical(spec | {"keep": cfg.kept_epochs(method)})


def trained_on(mask):
    """The trained methods of a mask."""
    return [method for method in TRAINED if mask in cfg.masks_of(method)]


def training_stage(wildcards):
    return stage("train.py", "training.smk:train", roots_of(wildcards.method))


def method_spec(method):
    """What of a method's config changes its results."""
    found = cfg.methods[method]
    tuned = found.tune.parameter if found.tune else None
    return canonical({"reconstructor": found.reconstructor, "parameters": found.parameters, "tuned": tuned})


def attack_spec(method, attack):
    """What of an attack's config changes its results, with the search that the method or attack names."""
    found = cfg.attacks[attack].model_dump(exclude={"masks", "methods"})
    spec = found | {"search": cfg.search_of(method, attack)}
    arguments = cfg.methods[method].search_arguments
    if arguments and spec["search"] == cfg.methods[method].search:
        spec["search_arguments"] = arguments
    return canonical(spec)


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
    return stage("tune.py", "tuning.smk:tune", roots_of(wildcards.method))


def configured(method, mask):
    """The attacks that the config asks for on a method."""
    attacks = {name: attack_spec(method, name) for name in cfg.attacks_of(method, mask)}
    return attacks, cfg.levels, [1.0]


def radius_attacks(method, mask):
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


def weight_attacks(method, mask):
    """The study's attacks at every multiple of the tuned weight."""
    study = cfg.studies.weight
    attacks = {name: attack_spec(study.method, name) | {"grid": study.grid} for name in study.attacks}
    return attacks, study.levels, study.factors


def rivalled(method, mask):
    """The attacks on a method whose perturbations other methods under the mask share."""
    names = [name for name in cfg.attacks_of(method, mask) if cfg.attacks[name].kind != "gaussian"]
    attacks = {name: attack_spec(method, name) for name in names}
    return attacks, cfg.levels, [1.0]


def attack_params(rule_name, chosen, script="attack.py"):
    """Params of an attack rule, each a function of the wildcards.

    `sources` are the hashes that the units of each attack carry: they know only the method's class and the
    attack's search, so that a change of one search leaves the units of the others.
    """

    @functools.cache
    def known(method, mask):
        """What all images under a method and mask share; Snakemake asks for it a dozen times a job."""
        attacks, levels, factors = chosen(method, mask)
        base = roots_of(method)
        roots = {name: [*base, *filter(None, [each.get("search")])] for name, each in attacks.items()}
        roots["clean"] = base
        described = stage(
            script, f"attacks.smk:{rule_name}", {path for paths in roots.values() for path in paths}
        )
        hashes = {
            name: stage_hash(f"workflow_scripts/{script}", roots=tuple(paths))
            for name, paths in roots.items()
        }
        return {
            **fixed(described),
            "sources": hashes,
            "method": method_spec(method),
            "attacks": attacks,
            "levels": levels,
            "factors": factors,
        }

    def shared(name):
        return lambda wildcards: known(wildcards.method, wildcards.mask)[name]

    names = ("stage", "source", "sources", "method", "attacks", "levels", "factors")
    return {name: shared(name) for name in names} | {
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
    """MB of an attack job: the attack on TV takes 500, torch with CUDA up to 3000; a retry gets more."""
    return 4000 * attempt


# Seconds of an attack at one level on 256² pixels: measured on one core for TV's searches, estimated on a GPU
# for searches through networks.
SEARCH_SECONDS = {"mrilib.attacks.coupled:CoupledAscent": 10, "mrilib.attacks.unrolled:UnrolledAdam": 480}
OTHER_SECONDS = 15


def attack_runtime(chosen):
    """Minutes of an attack job: five times what its attacks should take, 15 at least; a retry gets more."""

    @functools.cache
    def expected(method, mask):
        attacks, levels, factors = chosen(method, mask)
        seconds = sum(SEARCH_SECONDS.get(each.get("search"), OTHER_SECONDS) for each in attacks.values())
        return seconds * len(levels) * len(factors) * (cfg.size / 256) ** 2

    def minutes(wildcards, attempt):
        return max(15, round(5 / 60 * expected(wildcards.method, wildcards.mask))) * attempt

    return minutes


def attack_file(method, mask, source, position):
    return f"{RUN}/attacks/{method}/{mask}/{source}/{position}.h5"


def attack_files(wildcards):
    return [attack_file(wildcards.method, wildcards.mask, *place) for place in positions(wildcards.mask)]


def transfer_files(wildcards):
    """What a method makes of the others' perturbations, where there are others."""
    if wildcards.mask not in SHARED:
        return []
    return [
        f"{RUN}/transfer/{wildcards.method}/{wildcards.mask}/{source}/{position}.h5"
        for source, position in positions(wildcards.mask)
    ]


def rival_files(wildcards):
    """The attack files of the other methods on the same image."""
    return [
        attack_file(method, wildcards.mask, wildcards.source, wildcards.position)
        for method in cfg.rivals_of(wildcards.method, wildcards.mask)
    ]


def rivals(wildcards):
    return cfg.rivals_of(wildcards.method, wildcards.mask)


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
    if SHARED:
        parts.append(
            "†k: for k images the first search found less than a spike, noise, or another method's "
            "perturbation; it was repeated with more restarts, and the strongest of all counts."
        )
    parts.append("The paper's numbers are for its own phantoms, networks and parameters.")
    return " ".join(parts)


def figure_method_mask():
    """The method whose choice of the parameter is drawn, with its masks."""
    method = drawn_method()
    return [] if method is None else [(method, mask) for mask in cfg.masks_of(method)]


def drawn_method():
    return next((method for method in cfg.figures.methods if method in TUNED), None) if cfg.figures else None


CURVES = ["error", "amplification", *(["weight"] if drawn_method() else [])]


def tuning_title():
    source = cfg.validation_sources[0]
    return f"{LABELS.get(drawn_method())}, validation images of {source}, Gaussian noise"


def figure_transfers(wildcards):
    """What every method of the figures makes of the others' perturbations of an example."""
    mask, place = cfg.figures.mask, f"{wildcards.source}/{wildcards.position}"
    return [f"{RUN}/transfer/{method}/{mask}/{place}.h5" for method in cfg.figures.methods]


def figure_transfer(wildcards):
    """The method's transfer file, which has its attacks as they count; nothing where it is alone."""
    mask = cfg.figures.mask
    if mask not in SHARED:
        return []
    return f"{RUN}/transfer/{wildcards.method}/{mask}/{wildcards.source}/{wildcards.position}.h5"


def figure_attacks(wildcards):
    place = wildcards.source, wildcards.position
    return [attack_file(method, cfg.figures.mask, *place) for method in cfg.figures.methods]


def study_files(wildcards):
    study = STUDIES[wildcards.study]
    return [
        f"{RUN}/studies/{wildcards.study}/{study.method}/{study.mask}/{study.source}/{position}.h5"
        for position in range(study.images)
    ]


def study_title(wildcards):
    study = STUDIES[wildcards.study]
    level = f", level {100 * study.level:g} %" if wildcards.study == "radius" else ""
    return f"{LABELS[study.method]}, {study.mask}, {study.source}{level}, {study.grid}×{study.grid} places"


def method_outputs():
    """Tables and figures of the methods and attacks."""
    tables = [f"{RUN}/tables/{quantity}" for quantity in [*QUANTITIES, "table-1"]]
    tables += [f"{RUN}/tables/transfer-{quantity}" for quantity in TRANSFERRED if SHARED]
    figures = [f"{RUN}/figures/{name}" for name in CURVES]
    figures += [f"{RUN}/figures/study-{name}" for name in STUDIES]
    figures += [f"{RUN}/figures/transfer-{quantity}" for quantity in TRANSFERRED if SHARED]
    figures += [f"{RUN}/figures/training-{mask}" for mask in cfg.masks if trained_on(mask)]
    for example in cfg.figures.examples:
        place = f"{example.source}-{example.position}"
        figures += [f"{RUN}/figures/{name}-{place}" for name in IMAGE_PICTURES]
        figures += [
            f"{RUN}/figures/{name}-{method}-{place}"
            for name in ATTACK_PICTURES
            for method in cfg.figures.methods
        ]
        figures += [f"{RUN}/figures/transfer-{place}"] if len(cfg.figures.methods) > 1 else []
    return kinds_of(tables, figures)


def scan_outputs():
    """The catalogue with its pictures, annotations, sets, and the measurements for testing and validation.

    Training draws a mask of its own for every slice that it reads.
    """
    tables = [f"{RUN}/tables/catalogue"] if cfg.datasets else []
    figures = [f"{RUN}/figures/thumbnails-{dataset}" for dataset in cfg.datasets]
    figures += [f"{RUN}/figures/annotations-{name}" for name in cfg.annotations]
    sets = [f"{RUN}/sets/{source}/{part}.csv" for source, scans in cfg.scans.items() for part in scans.sets]
    return (
        kinds_of(tables, figures)
        + sets
        + [
            measurement_file(source, part, mask, position)
            for source, scans in cfg.scans.items()
            for part, selection in scans.sets.items()
            if part != "train"
            for mask in cfg.masks_for(source)
            for position in range(selection.count)
        ]
    )


def kinds_of(tables, figures):
    """Tables and figures in every format."""
    return [f"{table}.{kind}" for table in tables for kind in TABLE_KINDS] + [
        f"{figure}.{kind}" for figure in figures for kind in FIGURE_KINDS
    ]


def all_outputs():
    """Everything that the config asks for."""
    if cfg.scans or not cfg.methods:
        return scan_outputs() + quality_outputs()
    return method_outputs()


def datasets_of(kind):
    return {name: dataset for name, dataset in cfg.datasets.items() if dataset.kind == kind}


PARTS = ["train", "validation", "test"]
FASTMRI = datasets_of("fastmri")
SIMULATED = datasets_of("simulated")
CONVERTED = datasets_of("stanford") | datasets_of("raw")
ARCHIVES = sorted({archive for dataset in FASTMRI.values() for archive in dataset.archives})
# UUID to its URL and SHA-256, where one is given.
STANFORD_VOLUMES = {
    volume: (dataset.url + volume, dataset.sha256.get(volume))
    for dataset in datasets_of("stanford").values()
    for volume in dataset.volumes
}


def unpacked_listings(wildcards):
    archives = cfg.datasets[wildcards.dataset].archives
    return [f"{cfg.downloads}/fastmri/{wildcards.dataset}/{archive}.txt" for archive in archives]


def raw_file(wildcards):
    """The file that a volume is converted from."""
    dataset = cfg.datasets[wildcards.dataset]
    if dataset.kind == "stanford":
        return f"{cfg.downloads}/stanford/{wildcards.volume}.h5"
    return dataset.volumes[wildcards.volume].file if wildcards.volume in dataset.names else []


def conversion_options(wildcards):
    """What the header of a BART file does not say."""
    dataset = cfg.datasets[wildcards.dataset]
    if dataset.kind == "stanford" or wildcards.volume not in dataset.names:
        return {}
    return dataset.volumes[wildcards.volume].model_dump(exclude={"file"})


def drawn_files(wildcards):
    """The image file of a simulated volume, unless a package has it."""
    drawn = cfg.datasets[wildcards.dataset].volumes[wildcards.volume]
    return [] if ":" in drawn.file else drawn.file


def simulation_settings(wildcards):
    return cfg.datasets[wildcards.dataset].model_dump(include={"coils", "rows", "columns", "noise"})


def receipts(wildcards):
    """What says how the volumes of a dataset were had."""
    if wildcards.dataset in FASTMRI:
        return [f"{RUN}/volumes/{wildcards.dataset}.json"]
    names = cfg.datasets[wildcards.dataset].names
    return [f"{RUN}/volumes/{wildcards.dataset}/{name}.json" for name in names]


def selection_of(wildcards):
    return cfg.scans[wildcards.source].sets[wildcards.part]


def selected_catalogue(wildcards):
    return f"{RUN}/catalogue/{selection_of(wildcards).dataset}.csv"


def scan_pairs():
    """Every source of scans with its masks and the methods under each."""
    return [
        (source, mask, method)
        for source in cfg.scans
        for mask in cfg.masks_for(source)
        for method in cfg.methods
        if mask in cfg.masks_of(method)
    ]


def scan_tuning(wildcards):
    """The tuned parameter of a method on the validation slices of a source; nothing for untuned methods."""
    if wildcards.method not in TUNED:
        return []
    source = cfg.tuned_on(wildcards.source)
    return f"{RUN}/tuning/{source}/{wildcards.method}/{wildcards.mask}.json"


def scan_checkpoint(wildcards):
    """The network of a method that was trained on a source; nothing for the others."""
    if cfg.methods[wildcards.method].training is None:
        return []
    source = cfg.tuned_on(wildcards.source)
    return f"{RUN}/training/{source}/{wildcards.method}/{wildcards.mask}/best.pt"


def measurements(part):
    """Measurements of all slices of a set, a function of the wildcards."""

    def files(wildcards):
        selection = cfg.scans[wildcards.source].sets[part]
        place = wildcards.source, part, wildcards.mask
        return [measurement_file(*place, position) for position in range(selection.count)]

    return files


def reconstruction_file(source, method, mask, position):
    return f"{RUN}/reconstructions/{source}/{method}/{mask}/{position}.h5"


def reconstruction_files(wildcards):
    """What a method makes of the test slices of a source."""
    place = wildcards.source, wildcards.method, wildcards.mask
    return [reconstruction_file(*place, position) for position in range(cfg.count(wildcards.source))]


def shown_reconstructions(wildcards):
    """What every method makes of one slice."""
    place = wildcards.mask, int(wildcards.position)
    methods = [name for source, mask, name in scan_pairs() if (source, mask) == (wildcards.source, place[0])]
    return [reconstruction_file(wildcards.source, method, *place) for method in methods]


def reconstruction_stage(wildcards):
    return stage("reconstruct.py", "quality.smk:reconstruct", roots_of(wildcards.method))


def scan_tuning_stage(wildcards):
    return stage("tune_scans.py", "quality.smk:tune_scans", roots_of(wildcards.method))


def scan_training_stage(wildcards):
    return stage("train_scans.py", "quality.smk:train_scans", roots_of(wildcards.method))


def quality_outputs():
    """The quality of every method on every source of scans."""
    if not cfg.methods:
        return []
    places = sorted({(source, mask) for source, mask, _ in scan_pairs()})
    figures = [f"{RUN}/figures/reconstructions-{source}-{mask}-0" for source, mask in places]
    figures += [f"{RUN}/figures/quality-{mask}" for mask in sorted({mask for _, mask in places})]
    return kinds_of([f"{RUN}/tables/quality"], figures)
