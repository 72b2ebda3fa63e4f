# Choice of a method's parameter on validation images, for every mask and level.


rule tune:
    input:
        images=f"{RUN}/images/{{source}}/validation.h5",
        mask=f"{RUN}/masks/{{mask}}.h5",
    output:
        tuning=f"{RUN}/tuning/{{method}}/{{mask}}/{{source}}.json",
    log:
        f"{RUN}/logs/tuning/{{method}}/{{mask}}/{{source}}.log",
    benchmark:
        f"{RUN}/benchmarks/tuning/{{method}}/{{mask}}/{{source}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        stage=tuning_stage,
        source=lambda wildcards: source_of(tuning_stage(wildcards)),
        method=lambda wildcards: method_spec(wildcards.method),
        tune=lambda wildcards: cfg.methods[wildcards.method].tune.model_dump(),
        values=lambda wildcards: cfg.methods[wildcards.method].tune.grid.values,
        levels=cfg.levels,
        seed=cfg.seed,
        units=f"{RUN}/units",
    script:
        "../workflow_scripts/tune.py"
