# Scores, tables and figures from what the jobs stored.


localrules:
    score,
    table,
    image_figures,
    attack_figures,
    transfer_panel,
    transfer_matrix,
    training_figure,
    curve_figures,
    quality_figure,
    reconstruction_panel,


rule score:
    input:
        measurements=test_measurements,
        reconstructions=files_of("reconstructions"),
        attacks=attacks_to_score,
        transfers=transfers_to_score,
    output:
        scores=f"{RUN}/scores/{APPLIED}.csv",
    log:
        f"{RUN}/logs/scores/{APPLIED}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("score.py", "report.smk:score")),
    script:
        "../workflow_scripts/stages/score.py"


rule table:
    input:
        scores=[score_file(each) for each in cfg.applications],
    output:
        records=f"{RUN}/records/{{table}}.json",
        csv=f"{RUN}/tables/{{table}}.csv",
        md=f"{RUN}/tables/{{table}}.md",
        tex=f"{RUN}/tables/{{table}}.tex",
    log:
        f"{RUN}/logs/tables/{{table}}.log",
    wildcard_constraints:
        table=any_of(method_tables()),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("table.py", "report.smk:table", ATTACK_ROOTS)),
        table=lambda wildcards: wildcards.table,
        methods={name: method.published for name, method in cfg.methods.items()},
        masks=MASKS,
        attacks=ATTACKS,
        sources=list(cfg.images),
        published_sources=PUBLISHED_SOURCES,
        usual=USUAL,
        domain_labels=domain_labels(),
        source_name=next(iter(PUBLISHED_SOURCES), None),
        labels=LABELS,
        note=table_note(),
        seed=cfg.seed,
    script:
        "../workflow_scripts/stages/table.py"


rule image_figures:
    input:
        measurement=example_measurement,
    output:
        **{name: f"{RUN}/figures/{name}-{{example}}.pdf" for name in IMAGE_PICTURES},
        png=[f"{RUN}/figures/{name}-{{example}}.png" for name in IMAGE_PICTURES],
    log:
        f"{RUN}/logs/figures/image-{{example}}.log",
    wildcard_constraints:
        example=any_of(EXAMPLES),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("image_figures.py", "report.smk:image_figures")),
        mask=lambda wildcards: example(wildcards)[2],
        about=lambda wildcards: MASKS[example(wildcards)[2]],
        title=lambda wildcards: "{} {}".format(*example(wildcards)[:2]),
        seed=cfg.seed,
    script:
        "../workflow_scripts/stages/image_figures.py"


rule attack_figures:
    input:
        measurement=example_measurement,
        reconstruction=lambda wildcards: example_file("reconstructions", wildcards.method, wildcards),
        attacks=lambda wildcards: example_file("attacks", wildcards.method, wildcards),
        transfer=example_transfer,
    output:
        **{name: f"{RUN}/figures/{name}-{{method}}-{{example}}.pdf" for name in attack_pictures()},
        png=[f"{RUN}/figures/{name}-{{method}}-{{example}}.png" for name in attack_pictures()],
    log:
        f"{RUN}/logs/figures/{{method}}-{{example}}.log",
    wildcard_constraints:
        example=any_of(EXAMPLES),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("attack_figures.py", "report.smk:attack_figures")),
        attack=cfg.figures.attack if cfg.figures else None,
        level=cfg.figures.level if cfg.figures else None,
        levels=sorted(cfg.levels),
        title=lambda wildcards: f"{example_title(wildcards)}, {LABELS[wildcards.method]}",
    script:
        "../workflow_scripts/stages/attack_figures.py"


rule transfer_panel:
    input:
        measurement=example_measurement,
        reconstructions=example_files("reconstructions"),
        attacks=example_files("attacks"),
        transfers=example_files("transfer"),
    output:
        pdf=f"{RUN}/figures/transfer-{{example}}.pdf",
        png=f"{RUN}/figures/transfer-{{example}}.png",
    log:
        f"{RUN}/logs/figures/transfer-{{example}}.log",
    wildcard_constraints:
        example=any_of(EXAMPLES),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("transfer_panel.py", "report.smk:transfer_panel")),
        attack=cfg.figures.attack if cfg.figures else None,
        level=cfg.figures.level if cfg.figures else None,
        methods=lambda wildcards: figure_methods(example(wildcards)[0], example(wildcards)[2]),
        labels=LABELS,
        title=lambda wildcards: f"{example_title(wildcards)}, level {100 * cfg.figures.level:g} %",
    script:
        "../workflow_scripts/stages/transfer_panel.py"


rule transfer_matrix:
    input:
        records=f"{RUN}/records/transfer-{{quantity}}.json",
    output:
        pdf=f"{RUN}/figures/transfer-{{quantity}}.pdf",
        png=f"{RUN}/figures/transfer-{{quantity}}.png",
    log:
        f"{RUN}/logs/figures/transfer-{{quantity}}.log",
    wildcard_constraints:
        quantity=any_of(TRANSFERRED),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("transfer_matrix.py", "report.smk:transfer_matrix")),
        quantity=lambda wildcards: wildcards.quantity,
        source_name=next((source for source, _, _ in EXAMPLES.values()), None),
        mask=next((mask for _, _, mask in EXAMPLES.values()), None),
        attack=cfg.figures.attack if cfg.figures else None,
        methods=list(cfg.methods),
        labels=LABELS,
    script:
        "../workflow_scripts/stages/transfer_matrix.py"


rule training_figure:
    input:
        histories=lambda wildcards: [
            training_file(method, wildcards.domain, "history.csv") for method in trained_on(wildcards.domain)
        ],
    output:
        pdf=f"{RUN}/figures/training-{{domain}}.pdf",
        png=f"{RUN}/figures/training-{{domain}}.png",
    log:
        f"{RUN}/logs/figures/training-{{domain}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("training_figure.py", "report.smk:training_figure")),
        methods=list(cfg.methods),
        labels=LABELS,
        title=lambda wildcards: domain_labels()[wildcards.domain],
        relative=lambda wildcards: cfg.domain(wildcards.domain).source not in cfg.scans,
    script:
        "../workflow_scripts/stages/training_figure.py"


rule curve_figures:
    input:
        scores=[score_file(each) for each in cfg.applications],
        records=f"{RUN}/records/amplification.json",
        tunings=list(drawn_tunings().values()),
    output:
        **{name: f"{RUN}/figures/{name}.pdf" for name in CURVES},
        png=[f"{RUN}/figures/{name}.png" for name in CURVES],
    log:
        f"{RUN}/logs/figures/curves.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("curve_figures.py", "report.smk:curve_figures", ATTACK_ROOTS)),
        methods=list(cfg.methods),
        attacks=ATTACKS,
        masks=MASKS,
        usual=USUAL,
        labels=LABELS,
        attack=cfg.figures.attack if cfg.figures else next(iter(cfg.attacks), None),
        tuned_masks=list(drawn_tunings()),
        tuning_title=(
            f"{LABELS.get(drawn_method())}, validation images of {next(iter(PUBLISHED_SOURCES), None)}, "
            "Gaussian noise"
        ),
        seed=cfg.seed,
    script:
        "../workflow_scripts/stages/curve_figures.py"


rule quality_figure:
    input:
        scores=lambda wildcards: [
            score_file(each) for each in cfg.applications if each.mask == wildcards.mask
        ],
    output:
        pdf=f"{RUN}/figures/quality-{{mask}}.pdf",
        png=f"{RUN}/figures/quality-{{mask}}.png",
    log:
        f"{RUN}/logs/figures/quality-{{mask}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("quality_figure.py", "report.smk:quality_figure")),
        mask=lambda wildcards: wildcards.mask,
        about=lambda wildcards: MASKS[wildcards.mask],
        usual=USUAL,
        domain_labels=domain_labels(),
        methods=list(cfg.methods),
        labels=LABELS,
        seed=cfg.seed,
    script:
        "../workflow_scripts/stages/quality_figure.py"


rule reconstruction_panel:
    input:
        measurement=test_measurement,
        reconstructions=shown_reconstructions,
    output:
        pdf=f"{RUN}/figures/reconstructions-{{source}}-{{mask}}-{{position}}.pdf",
        png=f"{RUN}/figures/reconstructions-{{source}}-{{mask}}-{{position}}.png",
    log:
        f"{RUN}/logs/figures/reconstructions-{{source}}-{{mask}}-{{position}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("reconstruction_panel.py", "report.smk:reconstruction_panel")),
        labels=LABELS,
        mask=lambda wildcards: wildcards.mask,
        about=lambda wildcards: MASKS[wildcards.mask],
    script:
        "../workflow_scripts/stages/reconstruction_panel.py"
