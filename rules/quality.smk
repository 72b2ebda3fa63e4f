# Methods on scans: tuned and trained on every source, compared by the quality of what they reconstruct.


localrules:
    assess,
    quality_table,
    quality_figure,
    reconstruction_panel,


rule tune_scans:
    input:
        measurements=measurements("validation"),
    output:
        tuning=f"{RUN}/tuning/{{source}}/{{method}}/{{mask}}.json",
    log:
        f"{RUN}/logs/tuning/{{source}}/{{method}}/{{mask}}.log",
    benchmark:
        f"{RUN}/benchmarks/tuning/{{source}}/{{method}}/{{mask}}.tsv"
    wildcard_constraints:
        method=any_of(TUNED),
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        stage=scan_tuning_stage,
        source=lambda wildcards: source_of(scan_tuning_stage(wildcards)),
        method=lambda wildcards: method_spec(wildcards.method),
        tune=lambda wildcards: cfg.methods[wildcards.method].tune.model_dump(),
        values=lambda wildcards: cfg.methods[wildcards.method].tune.grid.values,
    script:
        "../workflow_scripts/tune_scans.py"


rule train_scans:
    input:
        train=f"{RUN}/sets/{{source}}/train.csv",
        validation=f"{RUN}/sets/{{source}}/validation.csv",
    output:
        best=f"{RUN}/training/{{source}}/{{method}}/{{mask}}/best.pt",
        last=f"{RUN}/training/{{source}}/{{method}}/{{mask}}/last.pt",
        history=f"{RUN}/training/{{source}}/{{method}}/{{mask}}/history.csv",
    log:
        f"{RUN}/logs/training/{{source}}/{{method}}/{{mask}}.log",
    benchmark:
        f"{RUN}/benchmarks/training/{{source}}/{{method}}/{{mask}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 2880 * attempt,
    params:
        stage=scan_training_stage,
        source=lambda wildcards: source_of(scan_training_stage(wildcards)),
        method=lambda wildcards: method_spec(wildcards.method),
        training=lambda wildcards: training_spec(wildcards.method),
        mask=lambda wildcards: cfg.masks[wildcards.mask].model_dump(),
        seed=cfg.seed,
        name=lambda wildcards: [wildcards.source, wildcards.method, wildcards.mask],
        units=f"{RUN}/units",
    script:
        "../workflow_scripts/train_scans.py"


rule reconstruct:
    input:
        measurement=measurement_file("{source}", "test", "{mask}", "{position}"),
        tuning=scan_tuning,
        checkpoint=scan_checkpoint,
    output:
        reconstruction=reconstruction_file("{source}", "{method}", "{mask}", "{position}"),
    log:
        f"{RUN}/logs/reconstructions/{{source}}/{{method}}/{{mask}}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/reconstructions/{{source}}/{{method}}/{{mask}}/{{position}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        stage=reconstruction_stage,
        source=lambda wildcards: source_of(reconstruction_stage(wildcards)),
        method=lambda wildcards: method_spec(wildcards.method),
        name=lambda wildcards: wildcards.method,
        mask=lambda wildcards: wildcards.mask,
    script:
        "../workflow_scripts/reconstruct.py"


rule assess:
    input:
        reconstructions=reconstruction_files,
        measurements=measurements("test"),
    output:
        scores=f"{RUN}/quality/{{source}}/{{method}}/{{mask}}.csv",
    log:
        f"{RUN}/logs/quality/{{source}}/{{method}}/{{mask}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("assess.py", "quality.smk:assess")),
        identity=lambda wildcards: {
            "source": wildcards.source,
            "method": wildcards.method,
            "mask": wildcards.mask,
        },
    script:
        "../workflow_scripts/assess.py"


rule quality_table:
    input:
        scores=[f"{RUN}/quality/{source}/{method}/{mask}.csv" for source, mask, method in scan_pairs()],
    output:
        records=f"{RUN}/records/quality.json",
        csv=f"{RUN}/tables/quality.csv",
        md=f"{RUN}/tables/quality.md",
        tex=f"{RUN}/tables/quality.tex",
    log:
        f"{RUN}/logs/tables/quality.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("quality_table.py", "quality.smk:quality_table")),
        labels=LABELS,
        seed=cfg.seed,
    script:
        "../workflow_scripts/quality_table.py"


rule quality_figure:
    input:
        scores=lambda wildcards: [
            f"{RUN}/quality/{source}/{method}/{mask}.csv"
            for source, mask, method in scan_pairs()
            if mask == wildcards.mask
        ],
    output:
        pdf=f"{RUN}/figures/quality-{{mask}}.pdf",
        png=f"{RUN}/figures/quality-{{mask}}.png",
    log:
        f"{RUN}/logs/figures/quality-{{mask}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("quality_figure.py", "quality.smk:quality_figure")),
        labels=LABELS,
        mask=lambda wildcards: wildcards.mask,
    script:
        "../workflow_scripts/quality_figure.py"


rule reconstruction_panel:
    input:
        measurement=measurement_file("{source}", "test", "{mask}", "{position}"),
        reconstructions=shown_reconstructions,
    output:
        pdf=f"{RUN}/figures/reconstructions-{{source}}-{{mask}}-{{position}}.pdf",
        png=f"{RUN}/figures/reconstructions-{{source}}-{{mask}}-{{position}}.png",
    log:
        f"{RUN}/logs/figures/reconstructions-{{source}}-{{mask}}-{{position}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("reconstruction_panel.py", "quality.smk:reconstruction_panel")),
        labels=LABELS,
    script:
        "../workflow_scripts/reconstruction_panel.py"
