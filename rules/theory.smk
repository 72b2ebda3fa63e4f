# The theory of localized artifacts: how many frequencies recover signals with and without them.


rule recover:
    output:
        recoveries=recovery_file("{entry}", "{size}", "{sparsity}"),
    log:
        f"{RUN}/logs/theory/{{entry}}/{{size}}-{{sparsity}}.log",
    benchmark:
        f"{RUN}/benchmarks/theory/{{entry}}/{{size}}-{{sparsity}}.tsv"
    wildcard_constraints:
        entry=any_of(cfg.theory),
        size=r"\d+",
        sparsity=r"\d+",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=recovery_runtime,
    params:
        **fixed(stage("recover.py", "theory.smk:recover")),
        entry=lambda wildcards: canonical(cfg.theory[wildcards.entry].described),
        size=lambda wildcards: int(wildcards.size),
        sparsity=lambda wildcards: int(wildcards.sparsity),
        seed=cfg.seed,
        units=f"{RUN}/units",
    message:
        "Find from how many frequencies {wildcards.entry} is recovered at n = {wildcards.size}, s = {wildcards.sparsity}."
    script:
        "../workflow_scripts/stages/recover.py"
