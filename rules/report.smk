# Scores, experiments and figures from what the jobs stored.


localrules:
    score,
    run_experiment,
    run_and_draw_experiment,
    draw_image,
    draw_attack,
    draw_transfer,
    draw_transfer_matrix,
    draw_training,
    draw_curves,
    draw_quality,
    draw_reconstructions,


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
        **fixed(stage("score.py", "report.smk:score", metric_roots())),
        metrics=METRICS,
    message:
        "Score all that {wildcards.method} of {wildcards.domain} made of {wildcards.source} under {wildcards.mask}."
    script:
        "../workflow_scripts/stages/score.py"


rule run_experiment:
    input:
        scores=[score_file(each) for each in cfg.applications],
    output:
        records=f"{RUN}/records/{{experiment}}.json",
        csv=f"{RUN}/tables/{{experiment}}.csv",
        md=f"{RUN}/tables/{{experiment}}.md",
        tex=f"{RUN}/tables/{{experiment}}.tex",
    log:
        f"{RUN}/logs/experiments/{{experiment}}.log",
    wildcard_constraints:
        experiment=any_of(name for name in EXPERIMENTS if name not in DRAWN),
    conda:
        "../envs/environment.yaml"
    params:
        **by_experiment("experiment.py", "report.smk:run_experiment"),
        metrics=METRICS,
        run=known_of_run(),
        usual=USUAL,
        seed=cfg.seed,
    message:
        "Run the experiment {wildcards.experiment} on the scores of the run."
    script:
        "../workflow_scripts/stages/experiment.py"


use rule run_experiment as run_and_draw_experiment with:
    output:
        records=f"{RUN}/records/{{experiment}}.json",
        csv=f"{RUN}/tables/{{experiment}}.csv",
        md=f"{RUN}/tables/{{experiment}}.md",
        tex=f"{RUN}/tables/{{experiment}}.tex",
        pdf=f"{RUN}/figures/{{experiment}}.pdf",
        png=f"{RUN}/figures/{{experiment}}.png",
    wildcard_constraints:
        experiment=any_of(DRAWN),
    message:
        "Run the experiment {wildcards.experiment} on the scores of the run, and draw its figure."


rule draw_image:
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
        **fixed(stage("image_figures.py", "report.smk:draw_image")),
        mask=lambda wildcards: example(wildcards)[2],
        about=lambda wildcards: MASKS[example(wildcards)[2]],
        title=lambda wildcards: "{} {}".format(*example(wildcards)[:2]),
        seed=cfg.seed,
    message:
        "Draw the noise and the mask of {wildcards.example}."
    script:
        "../workflow_scripts/stages/image_figures.py"


rule draw_attack:
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
        **fixed(stage("attack_figures.py", "report.smk:draw_attack")),
        attack=cfg.figures.attack if cfg.figures else None,
        level=cfg.figures.level if cfg.figures else None,
        levels=sorted(cfg.levels_of(cfg.figures.attack)) if cfg.figures else [],
        title=lambda wildcards: f"{example_title(wildcards)}, {LABELS[wildcards.method]}",
    message:
        "Draw the attacks on {wildcards.method} at {wildcards.example}."
    script:
        "../workflow_scripts/stages/attack_figures.py"


rule draw_transfer:
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
        **fixed(stage("transfer_panel.py", "report.smk:draw_transfer")),
        attack=cfg.figures.attack if cfg.figures else None,
        level=cfg.figures.level if cfg.figures else None,
        methods=lambda wildcards: figure_methods(example(wildcards)[0], example(wildcards)[2]),
        labels=LABELS,
        title=lambda wildcards: f"{example_title(wildcards)}, level {100 * cfg.figures.level:g} %",
    message:
        "Draw what every method makes of the perturbations of {wildcards.example}."
    script:
        "../workflow_scripts/stages/transfer_panel.py"


rule draw_transfer_matrix:
    input:
        records=f"{RUN}/records/{{experiment}}.json",
    output:
        pdf=f"{RUN}/figures/{{experiment}}.pdf",
        png=f"{RUN}/figures/{{experiment}}.png",
    log:
        f"{RUN}/logs/figures/{{experiment}}.log",
    wildcard_constraints:
        experiment=any_of(MATRICES),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("transfer_matrix.py", "report.smk:draw_transfer_matrix")),
        quantity=lambda wildcards: EXPERIMENTS[wildcards.experiment]["arguments"]["quantity"],
        source_name=next((source for source, _, _ in EXAMPLES.values()), None),
        mask=next((mask for _, _, mask in EXAMPLES.values()), None),
        attack=cfg.figures.attack if cfg.figures else None,
        methods=list(cfg.methods),
        labels=LABELS,
    message:
        "Draw {wildcards.experiment} as a matrix of methods."
    script:
        "../workflow_scripts/stages/transfer_matrix.py"


rule draw_training:
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
        **fixed(stage("training_figure.py", "report.smk:draw_training")),
        methods=list(cfg.methods),
        labels=LABELS,
        title=lambda wildcards: domain_labels()[wildcards.domain],
        relative=lambda wildcards: cfg.domain(wildcards.domain).source not in cfg.scans,
    message:
        "Draw the trainings on {wildcards.domain}."
    script:
        "../workflow_scripts/stages/training_figure.py"


rule draw_curves:
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
        **fixed(stage("curve_figures.py", "report.smk:draw_curves", ATTACK_ROOTS)),
        methods=list(cfg.methods),
        attacks=ATTACKS,
        masks=MASKS,
        usual=USUAL,
        labels=LABELS,
        attack=cfg.figures.attack if cfg.figures else next(iter(ATTACKS), None),
        tuned_masks=list(drawn_tunings()),
        tuning_title=(
            f"{LABELS.get(drawn_method())}, validation images of {next(iter(PUBLISHED_SOURCES), None)}, "
            "Gaussian noise"
        ),
        seed=cfg.seed,
    message:
        "Draw error and amplification against the noise level."
    script:
        "../workflow_scripts/stages/curve_figures.py"


rule draw_quality:
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
        **fixed(stage("quality_figure.py", "report.smk:draw_quality")),
        mask=lambda wildcards: wildcards.mask,
        about=lambda wildcards: MASKS[wildcards.mask],
        usual=USUAL,
        domain_labels=domain_labels(),
        methods=list(cfg.methods),
        labels=LABELS,
        seed=cfg.seed,
    message:
        "Draw the quality of every image under {wildcards.mask}."
    script:
        "../workflow_scripts/stages/quality_figure.py"


rule draw_reconstructions:
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
        **fixed(stage("reconstruction_panel.py", "report.smk:draw_reconstructions")),
        labels=LABELS,
        mask=lambda wildcards: wildcards.mask,
        about=lambda wildcards: MASKS[wildcards.mask],
    message:
        "Draw what every method makes of {wildcards.source} {wildcards.position} under {wildcards.mask}."
    script:
        "../workflow_scripts/stages/reconstruction_panel.py"
