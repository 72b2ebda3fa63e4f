# What is chosen on the validation images of a domain: a method's parameter, for every level or on clean data, and an
# argument of an attack's search.


rule tune:
    input:
        measurements=validation_measurements,
    output:
        tuning=tuning_file("{method}", "{domain}"),
    log:
        f"{RUN}/logs/tuning/{{method}}/{{domain}}.log",
    benchmark:
        f"{RUN}/benchmarks/tuning/{{method}}/{{domain}}.tsv"
    wildcard_constraints:
        method=any_of(cfg.tuned),
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        **by_method("tune.py", "tuning.smk:tune"),
        method=lambda wildcards: method_spec(wildcards.method),
        tune=lambda wildcards: cfg.methods[wildcards.method].tune.model_dump(exclude={"grid", "at"}),
        values=lambda wildcards: cfg.methods[wildcards.method].tune.grid.values,
        tuned=lambda wildcards: cfg.tuned_for(wildcards.method),
        seed=cfg.seed,
        units=f"{RUN}/units",
    message:
        "Tune {wildcards.method} on {wildcards.domain}"
    script:
        "../workflow_scripts/stages/tune.py"


rule tune_search:
    input:
        measurements=searched_validation,
        tuning=tuning_of,
        checkpoint=checkpoint_of,
    output:
        tuning=search_tuning_file("{attack}", "{method}", "{domain}"),
    log:
        f"{RUN}/logs/tuning/{{method}}/{{domain}}/{{attack}}.log",
    benchmark:
        f"{RUN}/benchmarks/tuning/{{method}}/{{domain}}/{{attack}}.tsv"
    wildcard_constraints:
        attack=any_of(name for name, attack in cfg.attacks.items() if attack.tune is not None),
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=tuning_memory,
        runtime=tuning_runtime,
    params:
        **search_tuning_params(),
    message:
        "Tune the search of the attack {wildcards.attack} on {wildcards.method} of {wildcards.domain}"
    script:
        "../workflow_scripts/stages/tune_search.py"
