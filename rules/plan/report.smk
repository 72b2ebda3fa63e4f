# What the rules of scores and of the usual experiments ask of the config: files, params, costs.
from mrilib.metrics.quantities import QUANTITIES
from workflow_scripts.config.experiments import ExperimentEntry
from workflow_scripts.provenance import class_attribute


def search_label(path):
    """What figures call a search: its own label, or else the name of its class."""
    if path is None:
        return None
    return class_attribute(path, "label") or path.partition(":")[2]


# Sources of images like P1's, whose numbers stand beside ours.
PUBLISHED_SOURCES = [name for name, source in cfg.images.items() if source.kind == "ellipses"]
# Those that tables show by their names; what varies an argument is for experiments of its own.
ATTACKS = {name: attack.described for name, attack in cfg.attacks.items() if not attack.vary}
ATTACK_ROOTS = sorted({attack.path for attack in cfg.attacks.values()})
USUAL = {
    source: {mask: cfg.usual_domain(source, mask) for mask in cfg.masks_for(source)} for source in cfg.images
}
# What other rules and the summary write beside the tables of experiments.
OTHER_TABLES = ["catalogue", "costs"]
# Whether a method is given others' perturbations anywhere.
TRANSFERS = any(map(shared, cfg.usual))
# The search of each attack, as it is where it is run first, and what the class calls itself.
SEARCHES = {
    name: cfg.search_of(each.method, name, each.source)
    for each in reversed(cfg.usual)
    for name in cfg.attacks_of(each.method, each.source, each.mask)
}
SPECS = {
    name: attack.described | {"search": SEARCHES.get(name), "search_label": search_label(SEARCHES.get(name))}
    for name, attack in cfg.attacks.items()
}
# The metrics beside ours, as the config names them.
METRICS = {name: metric.described for name, metric in cfg.metrics.items()}


def families():
    """What each method is, as its class says; a stranger's may say nothing."""
    said = {name: class_attribute(method.reconstructor, "family") for name, method in cfg.methods.items()}
    return {name: family if isinstance(family, str) else "other" for name, family in said.items()}


FAMILIES = families()


def domain_labels():
    """What domains are called: by their names in the config, or by source and mask."""
    named = {name: name for name in cfg.domains}
    pairs = {each.domain: cfg.domain(each.domain) for each in cfg.applications if each.domain not in named}
    return named | {name: f"{pair.source}, {MASK_LABELS[pair.mask]}" for name, pair in pairs.items()}


DOMAIN_LABELS = domain_labels()


def files_of(stage_name):
    """Files of a stage for all test images of an application, in order."""
    return lambda wildcards: [
        applied_file(stage_name, application(wildcards), position) for position in positions(wildcards.source)
    ]


def test_measurements(wildcards):
    return [
        measurement_file(wildcards.source, wildcards.mask, "test", position)
        for position in positions(wildcards.source)
    ]


def is_attacked(applied):
    """Whether the config asks for perturbations of a method at this place."""
    wanted = cfg.shifted.get(applied, True)
    return wanted and bool(cfg.attacks_of(applied.method, applied.source, applied.mask))


def attacks_to_score(wildcards):
    """Attacks on the first images of the source, those that have any."""
    applied = application(wildcards)
    count = cfg.attacked_count(applied.method, applied.source, applied.mask) if is_attacked(applied) else 0
    return files_of("attacks")(wildcards)[:count]


def transfers_to_score(wildcards):
    """What a method makes of the others' perturbations, of the first images, where there are others."""
    applied = application(wildcards)
    if applied not in cfg.usual:
        return []
    return [
        file
        for position, file in zip(positions(applied.source), files_of("transfer")(wildcards))
        if shared(applied, position)
    ]


def table_note():
    """What stands below every table of attacks: where the numbers come from."""
    parts = [
        "Mean ± sd over images [95 % bootstrap interval of the mean; none for fewer than two patients, or for equal "
        "values]; n images; —: not run, or all missing."
    ]
    for name, source in cfg.images.items():
        if source.tuned_on:
            parts.append(
                f"Images of {name} are reconstructed by methods tuned and trained on {source.tuned_on}."
            )
    if TRANSFERS:
        parts.append(
            "†k: for k images the first search found less than a spike, noise, or another method's "
            "perturbation; it was repeated with more restarts, and the strongest of all counts."
        )
    if cfg.scans:
        parts.append(
            "Scans: norms over all coils; no amplification for methods that see more of the data than Aᴴy."
        )
    parts.append("The paper's numbers are for its own phantoms, networks and parameters.")
    return " ".join(parts)


def usual_experiments():
    """The experiments of every run, where they apply."""
    found = {"quality": {"kind": "quality"}} if cfg.methods else {}
    if cfg.attacks:
        tabled = [name for name, each in QUANTITIES.items() if each.tabled]
        found |= {name: {"kind": "attacks", "quantity": name} for name in tabled}
        found |= {"table-1": {"kind": "table-1"}} if PUBLISHED_SOURCES else {}
    if cfg.attacks and TRANSFERS:
        transferred = [name for name, each in QUANTITIES.items() if each.transferred]
        found |= {f"transfer-{name}": {"kind": "transfer", "quantity": name} for name in transferred}
    return {name: ExperimentEntry.model_validate(each).described for name, each in found.items()}


USUAL_EXPERIMENTS = usual_experiments()


# A job may have pieces, as `workflow_scripts.job` takes them: what each reads, writes and is told.


def piece_inputs(pieces):
    """All that pieces read, each file once."""
    given = [files for piece in pieces for files in piece["inputs"].values()]
    return list(
        dict.fromkeys(file for files in given for file in ([files] if isinstance(files, str) else files))
    )


def piece_outputs(pieces):
    """All that pieces write, and the PNG beside each PDF."""
    files = [Path(file) for piece in pieces for file in piece["outputs"].values()]
    return [
        str(each)
        for file in files
        for each in (file, *([file.with_suffix(".png")] if file.suffix == ".pdf" else []))
    ]
