"""Figures of the whole run: error against noise, amplification against level, choice of the weight."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import json
    from pathlib import Path

    from mrilib.experiments import curves
    from mrilib.experiments.localized import read_scores
    from mrilib.report import figures_curves, style
    from mrilib.store.arrays import read_group
    from mrilib.store.records import read_records

    def save(name, figure):
        style.save(figure, Path(outputs[name]).with_suffix(""))

    scores = read_scores(inputs["scores"])
    names, seed = {"methods": params["methods"], "labels": params["labels"]}, params["seed"]
    save("error", figures_curves.error_against_noise(curves.error_curves(scores, seed=seed), **names))
    spikes = {
        mask: read_group(path).attributes["acceleration"]
        for mask, path in zip(params["masks"], inputs["masks"], strict=True)
    }
    frame = curves.amplification_curves(
        read_records(inputs["records"]), attack=params["attack"], spikes=spikes
    )
    save("amplification", figures_curves.amplification_by_level(frame, **names))
    tunings = {
        mask: json.loads(Path(path).read_text())
        for mask, path in zip(params["tuned_masks"], inputs["tunings"], strict=True)
    }
    frame = curves.weight_choice(tunings, seed=seed)
    if "weight" in outputs:
        save("weight", figures_curves.weight_choice(frame, title=params["tuning_title"]))


if "snakemake" in globals():
    run(snakemake, main)
