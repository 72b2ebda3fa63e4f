# Attacks: a job is one image under one method and mask, with all attacks and levels inside it.


def configured(wildcards):
    """The attacks that the config asks for on a method."""
    names = cfg.attacks_of(wildcards.method, wildcards.mask)
    attacks = {name: attack_spec(wildcards.method, name) for name in names}
    return attacks, cfg.levels, [1.0]


def radius_attacks(wildcards):
    """The disk attack at every radius, its one-pixel limit, and the global attack."""
    study = cfg.studies.radius
    search = cfg.methods[study.method].search
    common = {"kind": "localized", "grid": study.grid, "select": "clean", "search": search}
    attacks = {
        f"disk-{radius:g}": common | {"objective": "disk", "disk_radius": radius} for radius in study.radii
    }
    attacks["peak"] = common | {"objective": "peak", "disk_radius": 0.0}
    attacks["global"] = {"kind": "global", "steps": 100, "restarts": 2, "search": search}
    return attacks, [study.level], [1.0]


def weight_attacks(wildcards):
    """The study's attacks at every multiple of the tuned weight."""
    study = cfg.studies.weight
    attacks = {name: attack_spec(study.method, name) | {"grid": study.grid} for name in study.attacks}
    return attacks, study.levels, study.factors


def attack_params(rule_name, chosen):
    """Params of an attack rule, each a function of the wildcards.

    `sources` are the hashes that the units of each attack carry: they know only the method's class and the
    attack's search, so that a change of one search leaves the units of the others.
    """

    def roots_of(wildcards):
        reconstructor = [cfg.methods[wildcards.method].reconstructor]
        searches = {
            name: attack["search"] for name, attack in attacks_of(wildcards).items() if "search" in attack
        }
        named = {
            name: reconstructor + [path for path in [searches.get(name)] if path]
            for name in attacks_of(wildcards)
        }
        return named | {"clean": reconstructor}

    def attacks_of(wildcards):
        return chosen(wildcards)[0]

    def described(wildcards):
        roots = {path for paths in roots_of(wildcards).values() for path in paths}
        return stage("attack.py", f"attacks.smk:{rule_name}", roots)

    return {
        "stage": described,
        "source": lambda wildcards: source_of(described(wildcards)),
        "sources": lambda wildcards: {
            name: stage_hash("workflow_scripts/attack.py", roots=tuple(roots))
            for name, roots in roots_of(wildcards).items()
        },
        "method": lambda wildcards: method_spec(wildcards.method),
        "attacks": attacks_of,
        "levels": lambda wildcards: chosen(wildcards)[1],
        "factors": lambda wildcards: chosen(wildcards)[2],
        "seed": cfg.seed,
        "identity": lambda wildcards: {
            "source": wildcards.source,
            "position": int(wildcards.position),
            "method": wildcards.method,
            "mask": wildcards.mask,
        },
        "units": f"{RUN}/units",
    }


def attack_memory(wildcards, attempt):
    return 4000 * attempt


def attack_runtime(wildcards, attempt):
    return 60 * attempt


rule attack:
    input:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
        mask=f"{RUN}/masks/{{mask}}.h5",
        tuning=tuning_of,
    output:
        attacks=f"{RUN}/attacks/{{method}}/{{mask}}/{{source}}/{{position}}.h5",
    log:
        f"{RUN}/logs/attacks/{{method}}/{{mask}}/{{source}}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/attacks/{{method}}/{{mask}}/{{source}}/{{position}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=attack_memory,
        runtime=attack_runtime,
    params:
        **attack_params("attack", configured),
    script:
        "../workflow_scripts/attack.py"


rule radius_study:
    input:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
        mask=f"{RUN}/masks/{{mask}}.h5",
        tuning=tuning_of,
    output:
        attacks=f"{RUN}/studies/radius/{{method}}/{{mask}}/{{source}}/{{position}}.h5",
    log:
        f"{RUN}/logs/studies/radius/{{method}}/{{mask}}/{{source}}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/studies/radius/{{method}}/{{mask}}/{{source}}/{{position}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=attack_memory,
        runtime=attack_runtime,
    params:
        **attack_params("radius_study", radius_attacks),
    script:
        "../workflow_scripts/attack.py"


rule weight_study:
    input:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
        mask=f"{RUN}/masks/{{mask}}.h5",
        tuning=tuning_of,
    output:
        attacks=f"{RUN}/studies/weight/{{method}}/{{mask}}/{{source}}/{{position}}.h5",
    log:
        f"{RUN}/logs/studies/weight/{{method}}/{{mask}}/{{source}}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/studies/weight/{{method}}/{{mask}}/{{source}}/{{position}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=attack_memory,
        runtime=attack_runtime,
    params:
        **attack_params("weight_study", weight_attacks),
    script:
        "../workflow_scripts/attack.py"
