# Networks: one training a method and domain.


rule train:
    input:
        unpack(training_sets),
        start=start_of,
    output:
        best=training_file("{method}", "{domain}"),
        last=training_file("{method}", "{domain}", "last.pt"),
        kept=training_file("{method}", "{domain}", "kept.pt"),
        history=training_file("{method}", "{domain}", "history.csv"),
    log:
        f"{RUN}/logs/training/{{method}}/{{domain}}.log",
    benchmark:
        f"{RUN}/benchmarks/training/{{method}}/{{domain}}.tsv"
    wildcard_constraints:
        method=any_of(cfg.trained),
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 2880 * attempt,
    params:
        **training_params(),
        method=lambda wildcards: method_spec(wildcards.method),
        training=lambda wildcards: training_spec(wildcards.method),
        sampling=lambda wildcards: sampling_of(cfg.domain(wildcards.domain).mask),
        size=cfg.size,
        seed=cfg.seed,
        name=lambda wildcards: [*cfg.domain(wildcards.domain).model_dump().values(), wildcards.method],
        domain=lambda wildcards: wildcards.domain,
        units=f"{RUN}/units",
    message:
        "Train {wildcards.method} on {wildcards.domain}"
    script:
        "../workflow_scripts/stages/train.py"
