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
