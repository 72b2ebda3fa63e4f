# Attacks: a job is one image under one method of a domain and a mask, with all attacks and levels inside it.


rule attack:
    input:
        measurement=test_measurement,
        reconstruction=f"{RUN}/reconstructions/{APPLIED}/{{position}}.h5",
        tuning=tuning_of,
        checkpoint=checkpoint_of,
        searches=search_tunings(configured),
    output:
        attacks=f"{RUN}/attacks/{APPLIED}/{{position}}.h5",
    log:
        f"{RUN}/logs/attacks/{APPLIED}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/attacks/{APPLIED}/{{position}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=attack_memory(configured),
        runtime=attack_runtime(configured),
    params:
        **attack_params("attack", configured),
    message:
        "Attack {wildcards.method} of {wildcards.domain}, {wildcards.source} {wildcards.position} under {wildcards.mask}"
    script:
        "../workflow_scripts/stages/attack.py"


rule transfer:
    input:
        measurement=test_measurement,
        reconstruction=f"{RUN}/reconstructions/{APPLIED}/{{position}}.h5",
        tuning=tuning_of,
        checkpoint=checkpoint_of,
        searches=search_tunings(rivalled),
        own=f"{RUN}/attacks/{APPLIED}/{{position}}.h5",
        rivals=rival_files,
    output:
        transfer=f"{RUN}/transfer/{APPLIED}/{{position}}.h5",
    log:
        f"{RUN}/logs/transfer/{APPLIED}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/transfer/{APPLIED}/{{position}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=attack_memory(rivalled, carried=True),
        runtime=attack_runtime(rivalled, carried=True),
    params:
        **attack_params("transfer", rivalled, "transfer.py"),
        rivals=rivals_of,
    message:
        "Give others' perturbations to {wildcards.method} of {wildcards.domain}, {wildcards.source} {wildcards.position} under {wildcards.mask}"
    script:
        "../workflow_scripts/stages/transfer.py"
