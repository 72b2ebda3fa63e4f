# Small features: a job is one image under one method and mask, with all studies inside it.


localrules:
    tabulate_features,


rule feature:
    input:
        measurement=test_measurement,
        reconstruction=f"{RUN}/reconstructions/{APPLIED}/{{position}}.h5",
        tuning=tuning_of,
        checkpoint=checkpoint_of,
        slices=slices_with_boxes,
        annotations=boxes_for_features,
    output:
        features=f"{RUN}/features/{APPLIED}/{{position}}.h5",
    log:
        f"{RUN}/logs/features/{APPLIED}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/features/{APPLIED}/{{position}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=feature_runtime,
    params:
        **feature_params(),
    message:
        "Study small features by {wildcards.method} of {wildcards.domain}, {wildcards.source} {wildcards.position} under {wildcards.mask}"
    script:
        "../workflow_scripts/stages/feature.py"


rule tabulate_features:
    input:
        features=features_to_tabulate,
    output:
        table=feature_table("{method}", "{domain}", "{source}", "{mask}"),
        maps=feature_table("{method}", "{domain}", "{source}", "{mask}", "feature-maps"),
    log:
        f"{RUN}/logs/features/{APPLIED}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **tabulate_params(),
    message:
        "Tabulate what {wildcards.method} of {wildcards.domain} makes of small features of {wildcards.source} under {wildcards.mask}"
    script:
        "../workflow_scripts/stages/tabulate_features.py"
