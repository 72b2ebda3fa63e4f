# What the rules of scores, experiments and figures ask of the config: files, params, costs.
from mrilib.metrics.quantities import QUANTITIES
from workflow_scripts.config.entries import import_path, modules_of
from workflow_scripts.config.experiments import ExperimentEntry
from workflow_scripts.provenance import class_attribute

IMAGE_PICTURES = ["noise", "mask"]


def attack_pictures():
    """Pictures of an attack; of severities by place where it has places."""
    places = cfg.figures and cfg.attacks[cfg.figures.attack].has_places
    return ["attack", "levels", *(["map"] if places else [])]


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
# The first example under each mask; its image's pictures show the whole run.
EXAMPLES = (
    {
        f"{example.source}-{example.position}": (
            example.source,
            example.position,
            example.mask or cfg.figures.mask,
        )
        for example in cfg.figures.examples
    }
    if cfg.figures
    else {}
)


def domain_labels():
    """What domains are called: by their names in the config, or by source and mask."""
    named = {name: name for name in cfg.domains}
    pairs = {each.domain: cfg.domain(each.domain) for each in cfg.applications if each.domain not in named}
    return named | {name: f"{pair.source}, {MASK_LABELS[pair.mask]}" for name, pair in pairs.items()}


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
    return files_of("attacks")(wildcards) if is_attacked(application(wildcards)) else []


def transfers_to_score(wildcards):
    """What a method makes of the others' perturbations, where there are others."""
    applied = application(wildcards)
    return files_of("transfer")(wildcards) if applied in cfg.usual and shared(applied) else []


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


def drawn_method():
    """The method whose choice of the parameter by level is drawn."""
    names = cfg.figures.methods if cfg.figures else []
    return next((name for name in names if name in cfg.tuned and cfg.tuned_for(name) != ["clean"]), None)


def drawn_tunings():
    """Masks and files of its tunings on the first source of phantoms."""
    method, source = drawn_method(), next(iter(PUBLISHED_SOURCES), None)
    domains = [cfg.domain(domain) for name, domain in cfg.tunings if name == method]
    return {
        domain.mask: tuning_file(method, cfg.domain_name(domain.source, domain.mask))
        for domain in domains
        if domain.source == source
    }


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


def all_experiments():
    """The usual experiments, and those of the config."""
    taken = {*USUAL_EXPERIMENTS, *OTHER_TABLES, *method_figures()}
    for name in cfg.experiments:
        if name in taken:
            raise WorkflowError(f"experiments.{name}: the run has a file of this name; choose another")
    return USUAL_EXPERIMENTS | {name: entry.described for name, entry in cfg.experiments.items()}


def metric_roots():
    """Import paths of the metrics beside ours."""
    return {path for each in METRICS.values() for path in [each["class"], *modules_of(each["arguments"])]}


def shown_by(path):
    """Import paths of the functions that make an experiment's table and figure; none of a metric."""
    return list(filter(None, [class_attribute(path, part) for part in ("table", "figure")]))


def experiment_roots(name):
    """Import paths that an experiment reaches by name: its class, table and figure, metrics and attacks."""
    path, arguments = (EXPERIMENTS[name][key] for key in ("class", "arguments"))
    return metric_roots() | {path, *shown_by(path), *modules_of(arguments), *ATTACK_ROOTS}


def usual_roots():
    """Import paths that the usual experiments reach by name."""
    return set().union(*map(experiment_roots, USUAL_EXPERIMENTS))


def experiment_files(name):
    """What an experiment writes; one that draws a PDF writes the PNG beside it."""
    tables = {kind: f"{RUN}/tables/{name}.{kind}" for kind in ("csv", "md", "tex")}
    drawn = {"pdf": figure_file(name)} if name in DRAWN else {}
    return {"records": f"{RUN}/records/{name}.json"} | tables | drawn


def by_experiment(script, rule_name):
    """Params of a rule whose code is that of the experiment as well."""

    @functools.cache
    def described(name):
        return stage(script, rule_name, experiment_roots(name))

    return {
        "stage": lambda wildcards: described(wildcards.experiment),
        "code": lambda wildcards: code_of(described(wildcards.experiment)),
        "experiment": lambda wildcards: EXPERIMENTS[wildcards.experiment],
    }


def known_of_run():
    """What experiments are told of the run beside its scores."""
    return {
        "methods": {name: method.published for name, method in cfg.methods.items()},
        "masks": MASKS,
        "attacks": {name: attack.described for name, attack in cfg.attacks.items()},
        "sources": list(cfg.images),
        "published_sources": PUBLISHED_SOURCES,
        "specs": SPECS,
        "labels": LABELS,
        "domain_labels": domain_labels(),
        "note": table_note(),
    }


CURVES = ["error", "amplification", *(["weight"] if drawn_tunings() else [])] if cfg.attacks else []


USUAL_EXPERIMENTS = usual_experiments()
# Experiments whose records are drawn as a matrix of methods.
TRANSFER = import_path("experiment", "transfer")
MATRICES = [name for name, each in USUAL_EXPERIMENTS.items() if each["class"] == TRANSFER and cfg.figures]


def trained_on(domain):
    """The trained methods of a domain."""
    return [method for method, other in cfg.trainings if other == domain]


def figure_methods(source, mask):
    """The methods of the figures that an example is shown with."""
    return [
        name
        for name in cfg.figures.methods
        if cfg.applies(name, source, mask) and cfg.figures.attack in cfg.shown_attacks(name, source, mask)
    ]


def figure_file(name):
    """The PDF of a figure; the PNG is written beside it."""
    return f"{RUN}/figures/{name}.pdf"


# Figures of a kind are pieces of one job, as `workflow_scripts.job` takes them: what each reads, writes and is told.


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


def example_title(example):
    source, position, mask = EXAMPLES[example]
    return f"{source} {position}, {MASK_LABELS[mask]}"


def example_file(stage_name, method, example):
    source, position, mask = EXAMPLES[example]
    return applied_file(stage_name, cfg.usually_applied(method, source, mask), position)


def example_measurement(example):
    source, position, mask = EXAMPLES[example]
    return measurement_file(source, mask, "test", position)


def example_methods(example):
    """The methods of the figures that an example is shown with."""
    source, _, mask = EXAMPLES[example]
    return figure_methods(source, mask)


def image_piece(example):
    """An image's noise and mask."""
    source, position, mask = EXAMPLES[example]
    return {
        "inputs": {"measurement": example_measurement(example)},
        "outputs": {name: figure_file(f"{name}-{example}") for name in IMAGE_PICTURES},
        "params": {"mask": mask, "about": MASKS[mask], "title": f"{source} {position}"},
    }


def attack_piece(method, example):
    """A method's attacks on an image; as they count, they stand in its transfer file, if it is not alone."""
    source, _, mask = EXAMPLES[example]
    alone = not shared(cfg.usually_applied(method, source, mask))
    return {
        "inputs": {
            "measurement": example_measurement(example),
            "reconstruction": example_file("reconstructions", method, example),
            "attacks": example_file("attacks", method, example),
            "transfer": [] if alone else example_file("transfer", method, example),
        },
        "outputs": {name: figure_file(f"{name}-{method}-{example}") for name in attack_pictures()},
        "params": {"title": f"{example_title(example)}, {LABELS[method]}"},
    }


def transfer_piece(example):
    """What every method makes of an image's perturbations."""
    methods = example_methods(example)
    stages = {"reconstructions": "reconstructions", "attacks": "attacks", "transfers": "transfer"}
    return {
        "inputs": {"measurement": example_measurement(example)}
        | {
            name: [example_file(each, method, example) for method in methods] for name, each in stages.items()
        },
        "outputs": {"pdf": figure_file(f"transfer-{example}")},
        "params": {
            "methods": methods,
            "title": f"{example_title(example)}, level {100 * cfg.figures.level:g} %",
        },
    }


def matrix_piece(experiment):
    """An experiment's records as a matrix of methods."""
    return {
        "inputs": {"records": f"{RUN}/records/{experiment}.json"},
        "outputs": {"pdf": figure_file(experiment)},
        "params": {"quantity": USUAL_EXPERIMENTS[experiment]["arguments"]["quantity"]},
    }


def quality_piece(mask):
    """The quality of every image under a mask."""
    return {
        "inputs": {"scores": [score_file(each) for each in cfg.applications if each.mask == mask]},
        "outputs": {"pdf": figure_file(f"quality-{mask}")},
        "params": {"mask": mask, "about": MASKS[mask]},
    }


def shown_reconstructions(wildcards):
    """What every method makes of one image."""
    return [
        applied_file("reconstructions", each, wildcards.position)
        for each in cfg.usual
        if (each.source, each.mask) == (wildcards.source, wildcards.mask)
    ]


def usual_masks():
    """The masks under which methods are applied."""
    return list(dict.fromkeys(each.mask for each in cfg.usual))


def method_figures():
    """Names of the figures of the methods and attacks."""
    places = list(dict.fromkeys((each.source, each.mask) for each in cfg.usual))
    figures = [f"reconstructions-{source}-{mask}-0" for source, mask in places]
    figures += [f"quality-{mask}" for mask in usual_masks()]
    figures += [f"training-{domain}" for domain in dict.fromkeys(domain for _, domain in cfg.trainings)]
    figures += [*CURVES, *MATRICES]
    for name, (source, _, mask) in EXAMPLES.items():
        methods = figure_methods(source, mask)
        figures += [f"{picture}-{name}" for picture in IMAGE_PICTURES]
        figures += [f"{picture}-{method}-{name}" for picture in attack_pictures() for method in methods]
        figures += [f"transfer-{name}"] if len(methods) > 1 else []
    return figures


EXPERIMENTS = all_experiments()
# Those that draw a figure of their own.
DRAWN = [name for name, each in EXPERIMENTS.items() if class_attribute(each["class"], "figure")]
EXPERIMENT_PIECES = [
    {"outputs": experiment_files(name), "params": {"experiment": described}}
    for name, described in USUAL_EXPERIMENTS.items()
]
IMAGE_PIECES = [image_piece(example) for example in EXAMPLES]
ATTACK_PIECES = [attack_piece(method, example) for example in EXAMPLES for method in example_methods(example)]
TRANSFER_PIECES = [transfer_piece(example) for example in EXAMPLES if len(example_methods(example)) > 1]
MATRIX_PIECES = [matrix_piece(experiment) for experiment in MATRICES]
QUALITY_PIECES = [quality_piece(mask) for mask in usual_masks()]


def all_outputs():
    """Everything that the config asks for."""
    # Training draws its masks itself; of all else there is a measurement, used or not.
    measured = [
        measurement_file(source, mask, part, position)
        for source, found in cfg.images.items()
        for mask in cfg.masks_for(source)
        for part, count in (("test", found.count), ("validation", found.validation_count))
        for position in range(count)
    ]
    return data_outputs() + measured + kinds_of(EXPERIMENTS, [*method_figures(), *DRAWN])
