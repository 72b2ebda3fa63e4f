# Sampling masks.


localrules:
    mask,


rule mask:
    output:
        mask=f"{RUN}/masks/{{mask}}.h5",
    log:
        f"{RUN}/logs/masks/{{mask}}.log",
    wildcard_constraints:
        mask=any_of(RADIAL),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("mask.py", "masks.smk:mask")),
        lines=lambda wildcards: cfg.masks[wildcards.mask].lines,
        size=cfg.size,
    script:
        "../workflow_scripts/mask.py"
