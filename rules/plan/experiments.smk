# What the rules of experiments ask of the config: files, params, and the code that they reach by name.
from workflow_scripts.config.entries import modules_of
from workflow_scripts.provenance import class_attribute


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


def named_by(experiment, attribute):
    """What the arguments of an experiment name of which its class says so, one or several in each."""
    described = EXPERIMENTS[experiment]
    given = [described["arguments"].get(key) for key in class_attribute(described["class"], attribute) or ()]
    return [name for each in given if each for name in ([each] if isinstance(each, str) else each)]


def searches_of(wildcards):
    """What was tried to choose arguments of searches, of an experiment that names such attacks."""
    names = named_by(wildcards.experiment, "names_tuned")
    return [search_tuning_file(*each) for each in cfg.search_tunings if each[0] in names]


def features_named(wildcards, folder):
    """Tables of the studies of small features that an experiment names, in a folder."""
    names = named_by(wildcards.experiment, "names_features")
    found = dict.fromkeys(applied for name in names for applied in tabulated(name))
    return [feature_table(*applied, folder) for applied in found]


def features_of(wildcards):
    return features_named(wildcards, "features")


def feature_maps_of(wildcards):
    return features_named(wildcards, "feature-maps")


def spectra_of(wildcards):
    """The spectra of the sources that an experiment names, under every mask that measures them."""
    sources = named_by(wildcards.experiment, "names_spectra")
    return [spectra_file(source, mask) for source in sources for mask in cfg.masks_for(source)]


def boxes_of(wildcards):
    """The scored boxes of the sources that an experiment names, by every method under every mask."""
    sources = named_by(wildcards.experiment, "names_boxes")
    return [boxes_file(each) for each in BOXED if each.source in sources]


def theory_of(wildcards):
    """The recoveries of the entries that an experiment names."""
    names = named_by(wildcards.experiment, "names_theory")
    return [file for name in names for file in recoveries_of(name)]


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
        "domains": {name: cfg.domain(name).model_dump() for name in DOMAIN_LABELS},
        "domain_labels": DOMAIN_LABELS,
        "adapted": cfg.adapted,
        "families": FAMILIES,
        "theory": {name: entry.about for name, entry in cfg.theory.items()},
        "note": table_note(),
    }


EXPERIMENTS = all_experiments()
# Those that draw a figure of their own.
DRAWN = [name for name, each in EXPERIMENTS.items() if class_attribute(each["class"], "figure")]
EXPERIMENT_PIECES = [
    {"outputs": experiment_files(name), "params": {"experiment": described}}
    for name, described in USUAL_EXPERIMENTS.items()
]


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
    features = [
        feature_table(*applied, folder) for applied in tabulated() for folder in ("features", "feature-maps")
    ]
    boxes = [boxes_file(each) for each in BOXED]
    made = [*features, *boxes, *all_recoveries()]
    return data_outputs() + measured + made + kinds_of(EXPERIMENTS, [*method_figures(), *DRAWN])
