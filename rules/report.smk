# Scores, tables and figures from what the jobs stored.

QUANTITIES = ["amplification", "severity", "relative_error"]
TABLE_KINDS = ["csv", "md", "tex"]


localrules:
    score,
    table,
    picture_figures,
    curve_figures,
    study_figure,


def attack_files(wildcards):
    return [
        f"{RUN}/attacks/{wildcards.method}/{wildcards.mask}/{source}/{position}.h5"
        for source, position in positions()
    ]


def score_files():
    return [f"{RUN}/scores/{method}/{mask}.csv" for method, mask in pairs()]


def table_note():
    """What stands below every table: where the numbers come from."""
    parts = [
        "Mean ± sd over images [95 % bootstrap interval of the mean]; n images; —: not run, or all missing."
    ]
    for name, source in cfg.images.items():
        if source.validation_source:
            parts.append(
                f"Images of {name} are reconstructed with the parameters tuned on {source.validation_source}."
            )
    parts.append("The paper's numbers are for its own phantoms, networks and parameters.")
    return " ".join(parts)


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


PICTURES = ["noise", "mask", "attack", "levels", "map"]
CURVES = ["error", "amplification", "weight"]
STUDIES = {name: study for name, study in cfg.studies if study is not None}


def figure_method_mask():
    """Methods with a tuned parameter whose choice is drawn: the method of the figures, on its masks."""
    method = cfg.figures.method
    return [(method, mask) for mask in cfg.masks_of(method)] if method in TUNED else []


def tuning_title():
    source = cfg.validation_sources[0]
    return f"{label_of(cfg.figures.method)}, validation images of {source}, Gaussian noise"


def label_of(method):
    return cfg.methods[method].label or method


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


def study_files(wildcards):
    study = STUDIES[wildcards.study]
    return [
        f"{RUN}/studies/{wildcards.study}/{study.method}/{study.mask}/{study.source}/{position}.h5"
        for position in range(study.images)
    ]


def study_title(wildcards):
    study = STUDIES[wildcards.study]
    level = f", level {100 * study.level:g} %" if wildcards.study == "radius" else ""
    return f"{label_of(study.method)}, {study.mask}, {study.source}{level}, {study.grid}×{study.grid} places"


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
