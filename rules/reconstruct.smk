# Reconstructions of unperturbed data, which quality is judged by and every attack begins with.


rule reconstruct:
    input:
        measurement=test_measurement,
        tuning=tuning_of,
        checkpoint=checkpoint_of,
    output:
        reconstruction=f"{RUN}/reconstructions/{APPLIED}/{{position}}.h5",
    log:
        f"{RUN}/logs/reconstructions/{APPLIED}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/reconstructions/{APPLIED}/{{position}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        **by_method("reconstruct.py", "reconstruct.smk:reconstruct"),
        method=lambda wildcards: method_spec(wildcards.method),
        tuned=lambda wildcards: cfg.tuned_for(wildcards.method),
        identity=lambda wildcards: application(wildcards)._asdict() | {"position": int(wildcards.position)},
        keep_state=attacked,
        units=f"{RUN}/units",
    message:
        "Reconstruct by {wildcards.method} of {wildcards.domain}, {wildcards.source} {wildcards.position} under {wildcards.mask}"
    script:
        "../workflow_scripts/stages/reconstruct.py"
