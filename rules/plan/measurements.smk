# What the rules of measurements ask of the config: files, params, costs.


IMAGES = [name for name in cfg.images if name not in cfg.scans]


def local_files(wildcards):
    """Files that Snakemake can watch: paths, not names inside packages."""
    return [path for path in getattr(cfg.images[wildcards.source], "files", []) if ":" not in path]


def image_settings(wildcards):
    """What of a source's config changes its images."""
    found = cfg.images[wildcards.source]
    return canonical(found.model_dump(include={"kind", "files", "resize", "slice"}) | {"size": cfg.size})


def measured(script, rule_name):
    """Params of measuring, whose code is that of the mask as well."""

    @functools.cache
    def described(mask):
        return stage(script, rule_name, [cfg.masks[mask].path])

    return {
        "stage": lambda wildcards: described(wildcards.mask),
        "code": lambda wildcards: code_of(described(wildcards.mask)),
        "sampling": lambda wildcards: sampling_of(wildcards.mask),
        "identity": lambda wildcards: {
            "source": wildcards.source,
            "mask": wildcards.mask,
            "part": wildcards.part,
            "position": int(wildcards.position),
        },
        "seed": cfg.seed,
    }
