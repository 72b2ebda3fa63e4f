# Scores, tables and figures from what the jobs stored.


localrules:
    score,
    table,
    picture_figures,
    curve_figures,
    study_figure,


rule score:
    input:
        attacks=attack_files,
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
        records=f"{RUN}/records/{{quantity}}.json",
        csv=f"{RUN}/tables/{{quantity}}.csv",
        md=f"{RUN}/tables/{{quantity}}.md",
        tex=f"{RUN}/tables/{{quantity}}.tex",
    log:
        f"{RUN}/logs/tables/{{quantity}}.log",
    wildcard_constraints:
        quantity="|".join(QUANTITIES),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("table.py", "report.smk:table")),
        quantity=lambda wildcards: wildcards.quantity,
        lines={name: mask.lines for name, mask in cfg.masks.items()},
        published={name: method.published for name, method in cfg.methods.items()},
        published_sources=GENERATED,
        attacks=list(cfg.attacks),
        labels={name: method.label or name for name, method in cfg.methods.items()},
        note=table_note(),
        seed=cfg.seed,
    script:
        "../workflow_scripts/table.py"


rule picture_figures:
    input:
        image=f"{RUN}/images/{{source}}/test/{{position}}.h5",
        mask=f"{RUN}/masks/{cfg.figures.mask}.h5",
        attacks=f"{RUN}/attacks/{cfg.figures.method}/{cfg.figures.mask}/{{source}}/{{position}}.h5",
    output:
        **{name: f"{RUN}/figures/{name}-{{source}}-{{position}}.pdf" for name in PICTURES},
        png=[f"{RUN}/figures/{name}-{{source}}-{{position}}.png" for name in PICTURES],
    log:
        f"{RUN}/logs/figures/{{source}}-{{position}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("picture_figures.py", "report.smk:picture_figures")),
        attack=cfg.figures.attack,
        level=cfg.figures.level,
        levels=sorted(cfg.levels),
        label=label_of(cfg.figures.method),
        mask=cfg.figures.mask,
        image_source=lambda wildcards: wildcards.source,
        position=lambda wildcards: wildcards.position,
        seed=cfg.seed,
    script:
        "../workflow_scripts/picture_figures.py"


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
        study="|".join(STUDIES) or "none",
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
