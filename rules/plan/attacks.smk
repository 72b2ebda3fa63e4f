# What the rules of attacks ask of the config: files, params, costs.
from workflow_scripts.config.costs import memory_mb, seconds
from workflow_scripts.provenance import class_attribute, named_by_classes

# Snakemake asks for every position, and most have the same attacks (`alike`).
searched_at, rivals_at = functools.cache(cfg.searched), functools.cache(cfg.rivals_of)


def shared(applied, position=0):
    """Whether a method is given others' perturbations of an image: it is attacked, and so is another one there."""
    place = (applied.method, applied.source, applied.mask, alike(position))
    return bool(searched_at(*place) and rivals_at(*place))


def attack_spec(method, attack, source):
    """What of an attack's config changes its results, with the search that the method or attack names."""
    search = cfg.search_of(method, attack, source)
    # The method's are those of its own search.
    own = cfg.methods[method].search_arguments if search == cfg.own_search(method, source) else {}
    arguments = own | cfg.attacks[attack].search_arguments
    return {"search": search} | ({"search_arguments": arguments} if arguments else {})


def attack_entries(applied, names):
    """Attacks of the config as jobs are told of them: each, or each of the values that it varies."""
    return [
        {
            "attack": name,
            "described": canonical(
                cfg.attacks[name].described
                | {"arguments": variant.arguments}
                | attack_spec(applied.method, name, applied.source)
            ),
            "levels": cfg.levels_of(name),
            "factors": variant.factors,
            "varied": variant.varied,
            "value": variant.value,
            "number": variant.number,
        }
        for name in names
        for variant in cfg.attacks[name].variants
    ]


def configured(applied, position):
    """The attacks that the config asks for on an image."""
    return attack_entries(applied, cfg.attacks_of(applied.method, applied.source, applied.mask, position))


def rivalled(applied, position):
    """The attacks whose perturbations other methods share."""
    return attack_entries(applied, cfg.searched(applied.method, applied.source, applied.mask, position))


def alike(position):
    """A position that stands for all that have the same attacks: most have, and Snakemake asks often."""
    limits = {attack.images for attack in cfg.attacks.values() if attack.images is not None}
    return max((limit for limit in limits if limit <= position), default=0)


def tuned_searches(attacks):
    """Those of a job's attacks of whose search an argument is tuned, each once."""
    names = dict.fromkeys(each["attack"] for each in attacks)
    return [name for name in names if cfg.attacks[name].tune is not None]


def search_tunings(chosen):
    """Their files, in the same order."""
    return lambda wildcards: [
        search_tuning_file(name, wildcards.method, wildcards.domain)
        for name in tuned_searches(chosen(application(wildcards), int(wildcards.position)))
    ]


def tuned_for_level(method, level):
    """What a method's own parameter is tuned for where it is attacked at a level."""
    by_level = cfg.methods[method].tune is not None and cfg.tuned_for(method) != ["clean"]
    return f"{level:g}" if by_level else "clean"


def searched_validation(wildcards):
    """The measurements that an argument of a search is chosen on: those that tuning sees, or the first of them."""
    return validation_measurements(wildcards)[: cfg.attacks[wildcards.attack].tune.images]


def search_tuning_params():
    """Params of the choice of an argument of a search: its code is that of an attack by it on the method."""

    @functools.cache
    def described(attack, method, domain):
        return canonical(tried(attack, method, domain)["described"])

    @functools.cache
    def stage_of(attack, method, domain):
        base = [*roots_of(method), *solver_roots(method, cfg.domain(domain).source)]
        roots = [*base, *classes_of(described(attack, method, domain), base)]
        return stage("tune_search.py", "tuning.smk:tune_search", roots)

    def tune(wildcards):
        found, level = cfg.attacks[wildcards.attack].tune, cfg.tuned_at(wildcards.attack)
        return {
            "parameter": found.parameter,
            "values": found.grid.values,
            "level": level,
            "tuned": tuned_for_level(wildcards.method, level),
        }

    def names(wildcards):
        return wildcards.attack, wildcards.method, wildcards.domain

    return {
        "stage": lambda wildcards: stage_of(*names(wildcards)),
        "code": lambda wildcards: code_of(stage_of(*names(wildcards))),
        "attack": lambda wildcards: described(*names(wildcards)),
        "tune": tune,
        "method": lambda wildcards: method_spec(wildcards.method),
        "identity": lambda wildcards: dict(zip(("name", "method", "domain"), names(wildcards)))
        | {"kind": cfg.attacks[wildcards.attack].word}
        | cfg.domain(wildcards.domain).model_dump(),
        "seed": cfg.seed,
        "units": f"{RUN}/units",
    }


def attack_params(rule_name, chosen, script="attack.py"):
    """Params of an attack rule, each a function of the wildcards.

    `codes` are the hashes that the units of each attack carry: they know only the method's class, the attack
    and its search, so that a change of one search leaves the units of the others.
    """

    @functools.cache
    def known(applied, position):
        """What all images of an application share that have the same attacks."""
        attacks = chosen(applied, position)
        base = [*roots_of(applied.method), *solver_roots(applied.method, applied.source)]
        roots = {each["attack"]: [*base, *classes_of(each["described"], base)] for each in attacks}
        roots["clean"] = base
        described = stage(
            script, f"attacks.smk:{rule_name}", {path for paths in roots.values() for path in paths}
        )
        codes = {
            name: stage_hash(f"workflow_scripts/stages/{script}", roots=tuple(paths))
            for name, paths in roots.items()
        }
        return {
            **fixed(described),
            "codes": codes,
            "method": method_spec(applied.method),
            "attacks": attacks,
            "searches": tuned_searches(attacks),
            "tuned": {f"{level:g}": tuned_for_level(applied.method, level) for level in cfg.levels},
        }

    def shared(name):
        return lambda wildcards: known(application(wildcards), alike(int(wildcards.position)))[name]

    names = ("stage", "code", "codes", "method", "attacks", "searches", "tuned")
    return {name: shared(name) for name in names} | {
        "seed": cfg.seed,
        "identity": lambda wildcards: application(wildcards)._asdict()
        | {"position": int(wildcards.position)},
        "units": f"{RUN}/units",
    }


def classes_of(described, base):
    """Import paths of an attack: its kind's, its search's, and what that loads of the method's."""
    search = described["search"]
    if not search:
        return [described["class"]]
    loaded = class_attribute(search, "loads")
    return [described["class"], search, *(named_by_classes(tuple(base), loaded) if loaded else ())]


# Minutes: finished units are kept, and a retry goes on from them.
DAY = 1440


def carried_at(applied, position, carried):
    """For each attack how many other methods' perturbations a job reconstructs from."""
    if not carried:
        return {}
    place = (applied.source, applied.mask, position)
    rivals = rivals_at(applied.method, *place)
    own = searched_at(applied.method, *place)
    return {name: sum(name in searched_at(rival, *place) for rival in rivals) for name in own}


def attack_memory(chosen, carried=False):
    """MB of an attack job; a retry gets more. `carried`: whether it holds others' perturbations as well."""

    @functools.cache
    def expected(applied, position):
        others = carried_at(applied, position, carried)
        return memory_mb(cfg, applied.source, chosen(applied, position), others)

    def megabytes(wildcards, attempt):
        return attempt * expected(application(wildcards), alike(int(wildcards.position)))

    return megabytes


def attack_runtime(chosen, carried=False):
    """Minutes of an attack job: five times what its attacks should take, 15 to a `DAY`; a retry gets more.

    `carried`: whether others' perturbations are reconstructed from as well.
    """

    @functools.cache
    def expected(applied, position):
        others = carried_at(applied, position, carried)
        return seconds(cfg, applied, chosen(applied, position), others)

    def minutes(wildcards, attempt):
        return within_a_day(expected(application(wildcards), alike(int(wildcards.position)))) * attempt

    return minutes


def within_a_day(expected):
    """Minutes that a job asks for which should take some seconds."""
    return min(max(15, round(5 / 60 * expected)), DAY)


def tried(attack, method, domain):
    """The attack by which an argument of a search is chosen, as often as it is run."""
    found = cfg.attacks[attack]
    return {
        "attack": attack,
        "described": found.described | attack_spec(method, attack, cfg.domain(domain).source),
        "levels": [cfg.tuned_at(attack)] * found.tune.images,
        "factors": found.tune.grid.values,
    }


def tuning_memory(wildcards, attempt):
    """MB of such a choice; a retry gets more."""
    asked = [tried(wildcards.attack, wildcards.method, wildcards.domain)]
    return attempt * memory_mb(cfg, cfg.domain(wildcards.domain).source, asked, {})


def tuning_runtime(wildcards, attempt):
    """Minutes of such a choice, as of an attack job."""
    domain = cfg.domain(wildcards.domain)
    applied = Application(wildcards.method, wildcards.domain, domain.source, domain.mask)
    asked = [tried(wildcards.attack, wildcards.method, wildcards.domain)]
    return within_a_day(seconds(cfg, applied, asked, {})) * attempt


def rivals_of(wildcards):
    return rivals_at(wildcards.method, wildcards.source, wildcards.mask, alike(int(wildcards.position)))


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
