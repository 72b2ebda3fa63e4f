# Choice of a method's parameter on the validation images of a domain, for every level or on clean data.


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
