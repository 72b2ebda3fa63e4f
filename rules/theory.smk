# The theory of localized artifacts: how many frequencies recover signals with and without them.


rule recover:
    output:
        recoveries=recovery_file("{entry}", "{size}", "{sparsity}"),
    log:
        f"{RUN}/logs/theory/{{entry}}/{{size}}-{{sparsity}}.log",
    benchmark:
        f"{RUN}/benchmarks/theory/{{entry}}/{{size}}-{{sparsity}}.tsv"
    wildcard_constraints:
        entry=any_of(theory_of_kind("recovery")),
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


rule recover_noisy:
    input:
        recoveries=lambda wildcards: recovery_file(
            cfg.theory[wildcards.entry].of, wildcards.size, wildcards.sparsity
        ),
    output:
        recoveries=recovery_file("{entry}", "{size}", "{sparsity}"),
    log:
        f"{RUN}/logs/theory/{{entry}}/{{size}}-{{sparsity}}.log",
    benchmark:
        f"{RUN}/benchmarks/theory/{{entry}}/{{size}}-{{sparsity}}.tsv"
    wildcard_constraints:
        entry=any_of(theory_of_kind("noisy")),
        size=r"\d+",
        sparsity=r"\d+",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        **fixed(stage("recover_noisy.py", "theory.smk:recover_noisy")),
        entry=lambda wildcards: canonical(cfg.theory[cfg.theory[wildcards.entry].of].described),
        noisy=lambda wildcards: canonical(cfg.theory[wildcards.entry].described),
        size=lambda wildcards: int(wildcards.size),
        sparsity=lambda wildcards: int(wildcards.sparsity),
        seed=cfg.seed,
    message:
        "Find how amplification of {wildcards.entry} falls with weight and noise at n = {wildcards.size}, s = {wildcards.sparsity}."
    script:
        "../workflow_scripts/stages/recover_noisy.py"


rule recover_phantoms:
    output:
        recoveries=recovery_file("{entry}", "{size}", "{lines}"),
    log:
        f"{RUN}/logs/theory/{{entry}}/{{size}}-{{lines}}.log",
    benchmark:
        f"{RUN}/benchmarks/theory/{{entry}}/{{size}}-{{lines}}.tsv"
    wildcard_constraints:
        entry=any_of(theory_of_kind("phantoms")),
        size=r"\d+",
        lines=r"\d+",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=phantom_runtime,
    params:
        **fixed(stage("recover_phantoms.py", "theory.smk:recover_phantoms", phantom_roots())),
        phantoms=lambda wildcards: canonical(cfg.theory[wildcards.entry].described),
        size=lambda wildcards: int(wildcards.size),
        lines=lambda wildcards: int(wildcards.lines),
        seed=cfg.seed,
        units=f"{RUN}/units",
    message:
        "Recover phantoms of {wildcards.entry} at n = {wildcards.size} with {wildcards.lines} lines, and attack them."
    script:
        "../workflow_scripts/stages/recover_phantoms.py"
