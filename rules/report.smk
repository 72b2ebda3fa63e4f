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
    study_figure,


rule score:
    input:
        attacks=attack_files,
        transfers=transfer_files,
    output:
        scores=f"{RUN}/scores/{{method}}/{{mask}}.csv",
    log:
        f"{RUN}/logs/scores/{{method}}/{{mask}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("score.py", "report.smk:score")),
    script:
        "../workflow_scripts/score.py"


rule table:
    input:
        scores=score_files(),
    output:
        records=f"{RUN}/records/{{table}}.json",
        csv=f"{RUN}/tables/{{table}}.csv",
        md=f"{RUN}/tables/{{table}}.md",
        tex=f"{RUN}/tables/{{table}}.tex",
    log:
        f"{RUN}/logs/tables/{{table}}.log",
    wildcard_constraints:
        table=any_of([*QUANTITIES, "table-1", *(f"transfer-{quantity}" for quantity in TRANSFERRED)]),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("table.py", "report.smk:table")),
        table=lambda wildcards: wildcards.table,
        lines={name: mask.lines for name, mask in RADIAL.items()},
        published={name: method.published for name, method in cfg.methods.items()},
        published_sources=GENERATED,
        source_name=cfg.validation_sources[0],
        attacks=list(cfg.attacks),
        labels=LABELS,
        note=table_note(),
        seed=cfg.seed,
    script:
        "../workflow_scripts/table.py"


rule image_figures:
    input:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
        mask=f"{RUN}/masks/{cfg.figures.mask}.h5",
    output:
        **{name: f"{RUN}/figures/{name}-{{source}}-{{position}}.pdf" for name in IMAGE_PICTURES},
        png=[f"{RUN}/figures/{name}-{{source}}-{{position}}.png" for name in IMAGE_PICTURES],
    log:
        f"{RUN}/logs/figures/image-{{source}}-{{position}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("image_figures.py", "report.smk:image_figures")),
        title=lambda wildcards: f"{wildcards.source} {wildcards.position}",
        seed=cfg.seed,
    script:
        "../workflow_scripts/image_figures.py"


rule attack_figures:
    input:
        attacks=f"{RUN}/attacks/{{method}}/{cfg.figures.mask}/{{source}}/{{position}}.h5",
        transfer=figure_transfer,
    output:
        **{name: f"{RUN}/figures/{name}-{{method}}-{{source}}-{{position}}.pdf" for name in ATTACK_PICTURES},
        png=[f"{RUN}/figures/{name}-{{method}}-{{source}}-{{position}}.png" for name in ATTACK_PICTURES],
    log:
        f"{RUN}/logs/figures/{{method}}-{{source}}-{{position}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("attack_figures.py", "report.smk:attack_figures")),
        attack=cfg.figures.attack,
        level=cfg.figures.level,
        levels=sorted(cfg.levels),
        title=lambda wildcards: (
            f"{wildcards.source} {wildcards.position}, {cfg.figures.mask}, {LABELS[wildcards.method]}"
        ),
    script:
        "../workflow_scripts/attack_figures.py"


rule transfer_panel:
    input:
        attacks=figure_attacks,
        transfers=figure_transfers,
    output:
        pdf=f"{RUN}/figures/transfer-{{source}}-{{position}}.pdf",
        png=f"{RUN}/figures/transfer-{{source}}-{{position}}.png",
    log:
        f"{RUN}/logs/figures/transfer-{{source}}-{{position}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("transfer_panel.py", "report.smk:transfer_panel")),
        attack=cfg.figures.attack,
        level=cfg.figures.level,
        methods=cfg.figures.methods,
        labels=LABELS,
        title=lambda wildcards: (
            f"{wildcards.source} {wildcards.position}, {cfg.figures.mask}, level {100 * cfg.figures.level:g} %"
        ),
    script:
        "../workflow_scripts/transfer_panel.py"


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
        source_name=cfg.figures.examples[0].source,
        mask=cfg.figures.mask,
        attack=cfg.figures.attack,
        methods=list(cfg.methods),
        labels=LABELS,
    script:
        "../workflow_scripts/transfer_matrix.py"


rule training_figure:
    input:
        histories=lambda wildcards: [
            f"{RUN}/training/{method}/{wildcards.mask}/history.csv" for method in trained_on(wildcards.mask)
        ],
    output:
        pdf=f"{RUN}/figures/training-{{mask}}.pdf",
        png=f"{RUN}/figures/training-{{mask}}.png",
    log:
        f"{RUN}/logs/figures/training-{{mask}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("training_figure.py", "report.smk:training_figure")),
        mask=lambda wildcards: wildcards.mask,
        methods=list(cfg.methods),
        labels=LABELS,
    script:
        "../workflow_scripts/training_figure.py"


rule curve_figures:
    input:
        scores=score_files(),
        records=f"{RUN}/records/amplification.json",
        tunings=[
            f"{RUN}/tuning/{method}/{mask}/{cfg.validation_sources[0]}.json"
            for method, mask in figure_method_mask()
        ],
        masks=[f"{RUN}/masks/{mask}.h5" for mask in cfg.masks],
    output:
        **{name: f"{RUN}/figures/{name}.pdf" for name in CURVES},
        png=[f"{RUN}/figures/{name}.png" for name in CURVES],
    log:
        f"{RUN}/logs/figures/curves.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("curve_figures.py", "report.smk:curve_figures")),
        methods=list(cfg.methods),
        labels=LABELS,
        attack=cfg.figures.attack,
        masks=list(cfg.masks),
        tuned_masks=[mask for _, mask in figure_method_mask()],
        tuning_title=tuning_title(),
        seed=cfg.seed,
    script:
        "../workflow_scripts/curve_figures.py"


rule study_figure:
    input:
        attacks=study_files,
        mask=lambda wildcards: f"{RUN}/masks/{STUDIES[wildcards.study].mask}.h5",
    output:
        scores=f"{RUN}/studies/{{study}}/scores.csv",
        pdf=f"{RUN}/figures/study-{{study}}.pdf",
        png=f"{RUN}/figures/study-{{study}}.png",
    log:
        f"{RUN}/logs/figures/study-{{study}}.log",
    wildcard_constraints:
        study=any_of(STUDIES),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("study_figure.py", "report.smk:study_figure")),
        study=lambda wildcards: wildcards.study,
        title=study_title,
        reference=[
            name
            for name, attack in cfg.attacks.items()
            if "unrolled" in (getattr(attack, "search", "") or "")
        ],
    script:
        "../workflow_scripts/study_figure.py"
