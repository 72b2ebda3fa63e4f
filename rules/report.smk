# Scores, experiments and figures from what the jobs stored.


localrules:
    score,
    run_usual_experiments,
    run_experiment,
    run_and_draw_experiment,
    draw_images,
    draw_attacks,
    draw_perturbed,
    draw_transfers,
    draw_transfer_matrices,
    draw_shifts,
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


# Those of every run in one process; those of the config apart, each with its own code.
rule run_usual_experiments:
    input:
        scores=[score_file(each) for each in cfg.applications],
    output:
        piece_outputs(EXPERIMENT_PIECES),
    log:
        f"{RUN}/logs/experiments.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("experiment.py", "report.smk:run_usual_experiments", usual_roots())),
        pieces=EXPERIMENT_PIECES,
        metrics=METRICS,
        run=known_of_run(),
        usual=USUAL,
        seed=cfg.seed,
    message:
        "Run the usual experiments on the scores of the run."
    script:
        "../workflow_scripts/stages/experiment.py"


rule run_experiment:
    input:
        scores=[score_file(each) for each in cfg.applications],
        searches=searches_of,
        spectra=spectra_of,
        features=features_of,
        feature_maps=feature_maps_of,
        boxes=boxes_of,
        recoveries=theory_of,
    output:
        records=f"{RUN}/records/{{experiment}}.json",
        csv=f"{RUN}/tables/{{experiment}}.csv",
        md=f"{RUN}/tables/{{experiment}}.md",
        tex=f"{RUN}/tables/{{experiment}}.tex",
    log:
        f"{RUN}/logs/experiments/{{experiment}}.log",
    wildcard_constraints:
        experiment=any_of(name for name in cfg.experiments if name not in DRAWN),
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
        experiment=any_of(name for name in cfg.experiments if name in DRAWN),
    message:
        "Run the experiment {wildcards.experiment} on the scores of the run, and draw its figure."


rule draw_images:
    input:
        piece_inputs(IMAGE_PIECES),
    output:
        piece_outputs(IMAGE_PIECES),
    log:
        f"{RUN}/logs/figures/images.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("image_figures.py", "report.smk:draw_images")),
        pieces=IMAGE_PIECES,
        seed=cfg.seed,
    message:
        "Draw the noise and the mask of every example."
    script:
        "../workflow_scripts/stages/image_figures.py"


rule draw_attacks:
    input:
        piece_inputs(ATTACK_PIECES),
    output:
        piece_outputs(ATTACK_PIECES),
    log:
        f"{RUN}/logs/figures/attacks.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("attack_figures.py", "report.smk:draw_attacks")),
        pieces=ATTACK_PIECES,
        attack=cfg.figures.attack if cfg.figures else None,
        level=cfg.figures.level if cfg.figures else None,
        levels=sorted(cfg.levels_of(cfg.figures.attack)) if cfg.figures else [],
    message:
        "Draw the attacks on every method at every example."
    script:
        "../workflow_scripts/stages/attack_figures.py"


rule draw_perturbed:
    input:
        piece_inputs(PERTURBED_PIECES),
    output:
        piece_outputs(PERTURBED_PIECES),
    log:
        f"{RUN}/logs/figures/perturbed.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("perturbed_panel.py", "report.smk:draw_perturbed", ATTACK_ROOTS)),
        pieces=PERTURBED_PIECES,
        attacks=ATTACKS,
        labels=LABELS,
    message:
        "Draw methods side by side, each under the perturbation made for it, at every example."
    script:
        "../workflow_scripts/stages/perturbed_panel.py"


rule draw_transfers:
    input:
        piece_inputs(TRANSFER_PIECES),
    output:
        piece_outputs(TRANSFER_PIECES),
    log:
        f"{RUN}/logs/figures/transfers.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("transfer_panel.py", "report.smk:draw_transfers")),
        pieces=TRANSFER_PIECES,
        attack=cfg.figures.attack if cfg.figures else None,
        level=cfg.figures.level if cfg.figures else None,
        labels=LABELS,
    message:
        "Draw what every method makes of the perturbations of every example."
    script:
        "../workflow_scripts/stages/transfer_panel.py"


rule draw_transfer_matrices:
    input:
        piece_inputs(MATRIX_PIECES),
    output:
        piece_outputs(MATRIX_PIECES),
    log:
        f"{RUN}/logs/figures/matrices.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("transfer_matrix.py", "report.smk:draw_transfer_matrices")),
        pieces=MATRIX_PIECES,
        source_name=next((source for source, _, _ in EXAMPLES.values()), None),
        mask=next((mask for _, _, mask in EXAMPLES.values()), None),
        attack=cfg.figures.attack if cfg.figures else None,
        methods=list(cfg.methods),
        labels=LABELS,
    message:
        "Draw the experiments of transfer as matrices of methods."
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
        title=lambda wildcards: DOMAIN_LABELS[wildcards.domain],
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
        curves=LEVEL_CURVES,
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
        "Draw error, quality, severity and amplification against the noise level."
    script:
        "../workflow_scripts/stages/curve_figures.py"


rule draw_quality:
    input:
        piece_inputs(QUALITY_PIECES),
    output:
        piece_outputs(QUALITY_PIECES),
    log:
        f"{RUN}/logs/figures/quality.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("quality_figure.py", "report.smk:draw_quality")),
        pieces=QUALITY_PIECES,
        usual=USUAL,
        domain_labels=DOMAIN_LABELS,
        methods=list(cfg.methods),
        labels=LABELS,
        seed=cfg.seed,
    message:
        "Draw the quality of every image under every mask."
    script:
        "../workflow_scripts/stages/quality_figure.py"


rule draw_shifts:
    input:
        piece_inputs(SHIFT_PIECES),
    output:
        piece_outputs(SHIFT_PIECES),
    log:
        f"{RUN}/logs/figures/shifts.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("reconstruction_panel.py", "report.smk:draw_shifts")),
        pieces=SHIFT_PIECES,
        labels=LABELS,
    message:
        "Draw one image of every shift under methods of both domains."
    script:
        "../workflow_scripts/stages/reconstruction_panel.py"


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
