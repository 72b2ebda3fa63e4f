# Attacks: a job is one image under one method and mask, with all attacks and levels inside it.


rule attack:
    input:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
        mask=f"{RUN}/masks/{{mask}}.h5",
        tuning=tuning_of,
        checkpoint=checkpoint_of,
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
        runtime=attack_runtime(configured),
    params:
        **attack_params("attack", configured),
    script:
        "../workflow_scripts/attack.py"


rule transfer:
    input:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
        mask=f"{RUN}/masks/{{mask}}.h5",
        tuning=tuning_of,
        checkpoint=checkpoint_of,
        own=f"{RUN}/attacks/{{method}}/{{mask}}/{{source}}/{{position}}.h5",
        rivals=rival_files,
    output:
        transfer=f"{RUN}/transfer/{{method}}/{{mask}}/{{source}}/{{position}}.h5",
    log:
        f"{RUN}/logs/transfer/{{method}}/{{mask}}/{{source}}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/transfer/{{method}}/{{mask}}/{{source}}/{{position}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=attack_memory,
        runtime=attack_runtime(rivalled),
    params:
        **attack_params("transfer", rivalled, "transfer.py"),
        rivals=rivals,
    script:
        "../workflow_scripts/transfer.py"


rule radius_study:
    input:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
        mask=f"{RUN}/masks/{{mask}}.h5",
        tuning=tuning_of,
        checkpoint=checkpoint_of,
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
        runtime=attack_runtime(radius_attacks),
    params:
        **attack_params("radius_study", radius_attacks),
    script:
        "../workflow_scripts/attack.py"


rule weight_study:
    input:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
        mask=f"{RUN}/masks/{{mask}}.h5",
        tuning=tuning_of,
        checkpoint=checkpoint_of,
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
        runtime=attack_runtime(weight_attacks),
    params:
        **attack_params("weight_study", weight_attacks),
    script:
        "../workflow_scripts/attack.py"
