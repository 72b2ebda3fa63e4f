# What the rules of training ask of the config: files, params, costs.


def training_sets(wildcards):
    """The slices that a network is trained and validated on; phantoms are drawn on the fly."""
    source = cfg.domain(wildcards.domain).source
    if source not in cfg.scans:
        return {}
    return {part: f"{RUN}/sets/{source}/{part}.csv" for part in ("train", "validation")}


def start_of(wildcards):
    """The network that a training starts from, if it names one."""
    start = cfg.methods[wildcards.method].training.start
    return [] if start is None else training_file(start.method, wildcards.domain, "kept.pt")


def training_spec(method):
    """What of a method's config changes its training."""
    spec = cfg.methods[method].training.model_dump()
    return canonical(spec | {"keep": cfg.kept_epochs(method)})


def training_params():
    """Params of training: its code is that of the method and of the mask."""

    @functools.cache
    def described(method, source, mask):
        roots = [*roots_of(method), *solver_roots(method, source), cfg.masks[mask].path]
        return stage("train.py", "training.smk:train", roots)

    def stage_of(wildcards):
        return described(wildcards.method, *cfg.domain(wildcards.domain).model_dump().values())

    return {"stage": stage_of, "code": lambda wildcards: code_of(stage_of(wildcards))}
