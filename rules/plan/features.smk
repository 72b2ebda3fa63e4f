# What the rules of small features ask of the config: files, params, costs.
from workflow_scripts.config.entries import modules_of
from workflow_scripts.config.costs import LARGE, USUAL_RECONSTRUCTION, said, size_of


def studied(applied, position=0):
    """The studies of features that the config asks for on an image."""
    return cfg.features_of(applied.method, applied.source, applied.mask, position)


def study_roots(name, base=()):
    """Import paths that a study reaches by name, with those of a method."""
    found = cfg.features[name]
    return [*base, found.path, *modules_of(found.arguments)]


def feature_params():
    """Params of the studies of an image; `codes` are the hashes that the units of each carry."""

    @functools.cache
    def known(applied, names):
        base = [*roots_of(applied.method), *solver_roots(applied.method, applied.source)]
        roots = {name: study_roots(name, base) for name in names}
        described = stage(
            "feature.py", "features.smk:feature", {path for paths in roots.values() for path in paths}
        )
        codes = {
            name: stage_hash("workflow_scripts/stages/feature.py", roots=tuple(paths))
            for name, paths in roots.items()
        }
        return {
            **fixed(described),
            "codes": codes,
            "method": method_spec(applied.method),
            "features": [
                {"feature": name, "described": canonical(cfg.features[name].described)} for name in names
            ],
            "tuned": cfg.tuned_for(applied.method)[0],
        }

    def shared(name):
        def value(wildcards):
            applied = application(wildcards)
            return known(applied, tuple(studied(applied, int(wildcards.position))))[name]

        return value

    return {name: shared(name) for name in ("stage", "code", "codes", "method", "features", "tuned")} | {
        "annotations": lambda wildcards: ANNOTATED[wildcards.source] if with_boxes(wildcards) else [],
        "seed": cfg.seed,
        "identity": lambda wildcards: application(wildcards)._asdict()
        | {"position": int(wildcards.position)},
        "units": f"{RUN}/units",
    }


def feature_runtime(wildcards, attempt):
    """Minutes of the studies of an image; a retry gets more."""
    applied = application(wildcards)
    each = said(cfg.methods[applied.method].reconstructor, "seconds_on_coils", USUAL_RECONSTRUCTION)
    share = size_of(cfg, applied.source).entries / LARGE.entries
    solves = sum(
        said(cfg.features[name].path, "solves", 2.0) for name in studied(applied, int(wildcards.position))
    )
    return within_a_day(each * share * solves) * attempt


def with_boxes(wildcards):
    """Whether a study of the image needs annotated boxes."""
    studies = studied(application(wildcards), int(wildcards.position))
    return any(cfg.features[name].needs_boxes for name in studies)


def slices_with_boxes(wildcards):
    """The set that says which slice the image is, for studies of boxes."""
    return f"{RUN}/sets/{wildcards.source}/test.csv" if with_boxes(wildcards) else []


def boxes_for_features(wildcards):
    """Placed boxes of the dataset of the image, for studies of boxes."""
    return annotation_tables(wildcards) if with_boxes(wildcards) else []


def features_to_tabulate(wildcards):
    """Files of features of the first images of a source, those that have any."""
    applied = application(wildcards)
    return [
        applied_file("features", applied, position)
        for position in positions(applied.source)
        if studied(applied, position)
    ]


def tabulated(name=None):
    """Applications that have any study of features, or the one of this name, in order."""
    return [each for each in cfg.usual if (name in studied(each) if name else studied(each))]


def tabulate_params():
    """Params of tables of features: their code is that of the studies as well."""

    @functools.cache
    def described(applied):
        roots = {path for name in studied(applied) for path in study_roots(name)}
        return stage("tabulate_features.py", "features.smk:tabulate_features", roots)

    return {
        "stage": lambda wildcards: described(application(wildcards)),
        "code": lambda wildcards: code_of(described(application(wildcards))),
        "features": lambda wildcards: {
            name: canonical(cfg.features[name].described) for name in studied(application(wildcards))
        },
    }
