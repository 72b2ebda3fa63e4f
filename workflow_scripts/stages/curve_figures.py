"""Figures of the whole run: error, quality and severity against level, amplification, choice of the weight.

Inputs:
    scores: score files of the run.
    records: those of `tables/amplification`.
    tunings: of the method whose choice of the weight is drawn, one file a mask; may be empty.

Outputs:
    amplification: its PDF; the PNG is written beside it.
    those of `curves`: so.
    weight: so, where there are tunings.

Params:
    curves: figure to the `quantity` that it draws, and the `attacks` that it shows, or `None` for all.
    methods: all methods of the run, in order.
    attacks: attack to what it is.
    masks: mask to what it is (`about` of its sampling).
    usual: source to mask to the domain that the config gives them.
    labels: method to the name to print.
    attack: whose amplification is drawn; `None` where there is none to show.
    tuned_masks: masks of the tunings, in their order.
    tuning_title: method and source of the tunings.
    seed: of the resampling.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import json
    from pathlib import Path

    from mrilib.attacks.kinds.base import abouts
    from mrilib.experiments import curves
    from mrilib.experiments.scores import read_scores, with_usual_domains
    from mrilib.report import figures_curves, style
    from mrilib.report.names import mask_labels
    from mrilib.store.records import read_records

    def save(name, figure):
        style.save(figure, Path(outputs[name]).with_suffix(""))

    scores = with_usual_domains(read_scores(inputs["scores"]), params["usual"])
    masks, seed = mask_labels(params["masks"]), params["seed"]
    names = {"methods": params["methods"], "labels": params["labels"], "mask_labels": masks}
    attacks = abouts(params["attacks"])
    for name, shown in params["curves"].items():
        frame = curves.level_curves(scores, shown["quantity"], attacks=shown["attacks"], seed=seed)
        drawn = figures_curves.quantity_by_level(frame, quantity=shown["quantity"], attacks=attacks, **names)
        save(name, drawn)
    records, spikes = read_records(inputs["records"]), curves.spikes_of(scores)
    frame = curves.amplification_curves(records, attack=params["attack"], spikes=spikes)
    save("amplification", figures_curves.amplification_by_level(frame, **names))
    if "weight" in outputs:
        tunings = {
            mask: json.loads(Path(path).read_text(encoding="utf-8"))
            for mask, path in zip(params["tuned_masks"], inputs["tunings"], strict=True)
        }
        frame = curves.weight_choice(tunings, seed=seed)
        title = params["tuning_title"]
        save("weight", figures_curves.weight_choice(frame, mask_labels=masks, title=title))


if "snakemake" in globals():
    run(snakemake, main)
