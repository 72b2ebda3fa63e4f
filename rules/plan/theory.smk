# What the rules of the theory ask of the config: files, params, costs.


def recovery_file(entry, size, sparsity):
    return f"{RUN}/theory/{entry}/{size}-{sparsity}.csv"


def recoveries_of(name):
    """The files of an entry, one for every case."""
    return [recovery_file(name, *case) for case in cfg.theory[name].cases]


def all_recoveries():
    return [file for name in cfg.theory for file in recoveries_of(name)]


def recovery_runtime(wildcards, attempt):
    """Minutes: a draw at 4096 takes up to 3 s on a core of 2020, and in proportion to the size."""
    draws = cfg.theory[wildcards.entry].draws
    return attempt * max(15, round(5 * draws * int(wildcards.size) / 4096 * 3 / 60))


def theory_of_kind(kind):
    """The entries of a kind."""
    return [name for name, entry in cfg.theory.items() if entry.kind == kind]


def phantom_roots():
    """What total variation and its attack load by name."""
    reconstructor = "mrilib.reconstructors.total_variation:TotalVariation"
    search = class_attribute(reconstructor, "search")
    loaded = named_by_classes((reconstructor,), class_attribute(search, "loads") or "on_one_coil")
    return {reconstructor, search, *named_by_classes((reconstructor,), "on_one_coil"), *loaded}


def phantom_runtime(wildcards, attempt):
    """Minutes: an image at 256² takes a minute on a core, and in proportion to the pixels."""
    images = cfg.theory[wildcards.entry].images
    return attempt * max(15, round(5 * images * (int(wildcards.size) / 256) ** 2))
