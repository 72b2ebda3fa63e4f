# Images: one file a test image, one file a set of validation images.


localrules:
    ellipse_image,
    validation_images,
    file_image,


rule ellipse_image:
    output:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
    log:
        f"{RUN}/logs/images/{{source}}/{{position}}.log",
    wildcard_constraints:
        source=any_of(GENERATED),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("phantoms.py", "data.smk:ellipse_image")),
        size=cfg.size,
        seed=cfg.seed,
        set="test",
        name=lambda wildcards: wildcards.source,
        position=lambda wildcards: int(wildcards.position),
        number=1,
    script:
        "../workflow_scripts/phantoms.py"


rule validation_images:
    output:
        image=f"{RUN}/images/{{source}}/validation.h5",
    log:
        f"{RUN}/logs/images/{{source}}/validation.log",
    wildcard_constraints:
        source=any_of(GENERATED),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("phantoms.py", "data.smk:validation_images")),
        size=cfg.size,
        seed=cfg.seed,
        set="validation",
        name=lambda wildcards: wildcards.source,
        number=lambda wildcards: cfg.images[wildcards.source].validation,
    script:
        "../workflow_scripts/phantoms.py"


rule file_image:
    input:
        files=local_files,
    output:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
    log:
        f"{RUN}/logs/images/{{source}}/{{position}}.log",
    wildcard_constraints:
        source=any_of(FROM_FILES),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("file_image.py", "data.smk:file_image")),
        position=lambda wildcards: int(wildcards.position),
        files=lambda wildcards: cfg.images[wildcards.source].files,
        resize=lambda wildcards: cfg.images[wildcards.source].resize,
        slice=lambda wildcards: cfg.images[wildcards.source].slice,
        size=cfg.size,
    script:
        "../workflow_scripts/file_image.py"
