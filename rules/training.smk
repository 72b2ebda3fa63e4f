# Networks: one training a method and mask.


rule train:
    input:
        mask=f"{RUN}/masks/{{mask}}.h5",
        start=start_of,
    output:
        best=f"{RUN}/training/{{method}}/{{mask}}/best.pt",
        last=f"{RUN}/training/{{method}}/{{mask}}/last.pt",
        kept=f"{RUN}/training/{{method}}/{{mask}}/kept.pt",
        history=f"{RUN}/training/{{method}}/{{mask}}/history.csv",
    log:
        f"{RUN}/logs/training/{{method}}/{{mask}}.log",
    benchmark:
        f"{RUN}/benchmarks/training/{{method}}/{{mask}}.tsv"
    wildcard_constraints:
        method=any_of(TRAINED),
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 2880 * attempt,
    params:
        stage=training_stage,
        source=lambda wildcards: source_of(training_stage(wildcards)),
        method=lambda wildcards: method_spec(wildcards.method),
        training=lambda wildcards: training_spec(wildcards.method),
        seed=cfg.seed,
        name=lambda wildcards: wildcards.method,
        mask=lambda wildcards: wildcards.mask,
        units=f"{RUN}/units",
    script:
        "../workflow_scripts/train.py"
