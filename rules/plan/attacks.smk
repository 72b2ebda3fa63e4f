# What the rules of attacks ask of the config: files, params, costs.


def shared(applied):
    """Whether a method is given the perturbations of others: it is attacked, and so is another one there."""
    return bool(
        cfg.searched(applied.method, applied.source, applied.mask)
        and cfg.rivals_of(applied.method, applied.source, applied.mask)
    )


# Seconds of an attack at one level on 256² pixels: measured on one core for TV's searches, estimated on a GPU
# for searches through networks.
SEARCH_SECONDS = {
    "mrilib.attacks.searches.coupled:CoupledAscent": 10,
    "mrilib.attacks.searches.unrolled:UnrolledAdam": 480,
}
OTHER_SECONDS = 15


def attack_spec(method, attack, source):
    """What of an attack's config changes its results, with the search that the method or attack names.

    Seeds are made of it: so what an attack does not ask for stays out, and so does an option that has its
    default and came later than results that are to be found again.
    """
    found = cfg.attacks[attack].model_dump(exclude={"masks", "methods", "sources"})
    for name, default in (("region", "image"), ("artifact", "complex")):
        if found.get(name) == default:
            del found[name]
    if found.get("disk_radius", 0) is None:
        del found["disk_radius"]
        if source not in cfg.scans:
            found["disk_radius"] = 5.0 * cfg.size / 256
    spec = found | {"search": cfg.search_of(method, attack, source)}
    arguments = cfg.methods[method].search_arguments
    if arguments and spec["search"] == cfg.own_search(method, source):
        spec["search_arguments"] = arguments
    return canonical(spec)


def at_all_levels(applied, names):
    """These attacks of the config with the run's levels, at the tuned parameter."""
    return {name: attack_spec(applied.method, name, applied.source) for name in names}, cfg.levels, [1.0]


def configured(applied):
    """The attacks that the config asks for."""
    return at_all_levels(applied, cfg.attacks_of(applied.method, applied.source, applied.mask))


def rivalled(applied):
    """The attacks whose perturbations other methods share."""
    return at_all_levels(applied, cfg.searched(applied.method, applied.source, applied.mask))


def radius_attacks(applied):
    """The disk attack at every radius, its one-pixel limit, and the global attack."""
    study = cfg.studies.radius
    search = cfg.own_search(study.method, study.source)
    common = {"kind": "localized", "grid": study.grid, "select": "clean", "search": search}
    attacks = {
        f"disk-{radius:g}": common | {"objective": "disk", "disk_radius": radius} for radius in study.radii
    }
    attacks["peak"] = common | {"objective": "peak", "disk_radius": 0.0}
    attacks["global"] = {"kind": "global", "steps": 100, "restarts": 2, "search": search}
    return attacks, [study.level], [1.0]


def weight_attacks(applied):
    """The study's attacks at every multiple of the tuned weight."""
    study = cfg.studies.weight
    attacks = {
        name: attack_spec(study.method, name, study.source) | {"grid": study.grid} for name in study.attacks
    }
    return attacks, study.levels, study.factors


def attack_params(rule_name, chosen, script="attack.py"):
    """Params of an attack rule, each a function of the wildcards.

    `codes` are the hashes that the units of each attack carry: they know only the method's class and the
    attack's search, so that a change of one search leaves the units of the others.
    """

    @functools.cache
    def known(applied):
        """What all images of an application share; Snakemake asks for it a dozen times a job."""
        attacks, levels, factors = chosen(applied)
        base = [*roots_of(applied.method), *solver_roots(applied.method, applied.source)]
        roots = {name: [*base, *filter(None, [each.get("search")])] for name, each in attacks.items()}
        roots["clean"] = base
        described = stage(
            script, f"attacks.smk:{rule_name}", {path for paths in roots.values() for path in paths}
        )
        codes = {
            name: stage_hash(f"workflow_scripts/stages/{script}", roots=tuple(paths))
            for name, paths in roots.items()
        }
        by_level = cfg.methods[applied.method].tune is not None and cfg.tuned_for(applied.method) != ["clean"]
        return {
            **fixed(described),
            "codes": codes,
            "method": method_spec(applied.method),
            "attacks": attacks,
            "levels": levels,
            "factors": factors,
            "tuned": {f"{level:g}": f"{level:g}" if by_level else "clean" for level in levels},
        }

    def shared(name):
        return lambda wildcards: known(application(wildcards))[name]

    names = ("stage", "code", "codes", "method", "attacks", "levels", "factors", "tuned")
    return {name: shared(name) for name in names} | {
        "seed": cfg.seed,
        "identity": lambda wildcards: application(wildcards)._asdict()
        | {"position": int(wildcards.position)},
        "units": f"{RUN}/units",
    }


def attack_memory(wildcards, attempt):
    """MB of an attack job: the attack on TV takes 500, torch with CUDA up to 3000; a retry gets more."""
    return 4000 * attempt


def attack_runtime(chosen):
    """Minutes of an attack job: five times what its attacks should take, 15 at least; a retry gets more."""

    @functools.cache
    def expected(applied):
        attacks, levels, factors = chosen(applied)
        seconds = sum(SEARCH_SECONDS.get(each.get("search"), OTHER_SECONDS) for each in attacks.values())
        return seconds * len(levels) * len(factors) * (cfg.size / 256) ** 2

    def minutes(wildcards, attempt):
        return max(15, round(5 / 60 * expected(application(wildcards)))) * attempt

    return minutes


def rivals_of(wildcards):
    return cfg.rivals_of(wildcards.method, wildcards.source, wildcards.mask)


def rival_files(wildcards):
    """The attack files of the other methods on the same image."""
    return [
        applied_file(
            "attacks",
            cfg.usually_applied(method, wildcards.source, wildcards.mask),
            wildcards.position,
        )
        for method in rivals_of(wildcards)
    ]
