# What the rules of reconstructions ask of the config: files, params, costs.


def attacked(wildcards):
    """Whether the state of the solver is kept for attacks that begin with it."""
    applied = application(wildcards)
    return applied not in cfg.shifted and bool(cfg.searched(applied.method, applied.source, applied.mask))
