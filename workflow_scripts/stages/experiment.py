"""One experiment on the scores of the run: records, a table, and where it has one a figure.

Inputs:
    scores: score files of the run, in the order in which sources are to stand.

    searches: what was tried to choose arguments of searches, of experiments on that.
    spectra: energy by frequency, of experiments on that.
    features, feature_maps: what studies of small features found, of experiments on that.
    boxes: scores of annotated boxes, of experiments on that.
    recoveries: thresholds of exact recovery, of experiments on that.

Outputs:
    records, csv, md, tex.
    pdf: of an experiment with a figure; the PNG is written beside it.

Params:
    experiment: its `class` and `arguments`.
    metrics: those beside ours: name to `class` and `arguments`.
    run: what the run knows, as `mrilib.experiments.base.ScoredRun` has it: `methods`, `masks`, `attacks`
        (here the `class` and `arguments` of each), `sources`, `published_sources`, `specs`, `labels`,
        `domains`, `domain_labels`, `adapted`, `families`, `theory`, `note`.
    usual: source to mask to the domain that the config gives them; `source@mask` for those left out.
    code: the stage's code hash.
    seed: of the resampling.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import json
    from pathlib import Path

    from mrilib.attacks.kinds.base import abouts
    from mrilib.data.spectra import read_spectra
    from mrilib.experiments.base import ScoredRun, experiment_from
    from mrilib.experiments.box_table import read_boxes
    from mrilib.experiments.feature_rows import read_features, read_maps
    from mrilib.experiments.scores import read_scores, with_usual_domains
    from mrilib.metrics.base import metric_from
    from mrilib.metrics.quantities import QUANTITIES
    from mrilib.report import style
    from mrilib.report.names import mask_labels
    from mrilib.report.tables import render
    from mrilib.store.atomic import write_text
    from mrilib.store.functions import load_function
    from mrilib.store.records import write_records
    from mrilib.theory.tables import read_recoveries

    further = {name: metric_from(each).quantity for name, each in params["metrics"].items()}
    scored = ScoredRun(
        scores=with_usual_domains(read_scores(inputs["scores"]), params["usual"]),
        quantities=QUANTITIES | further,
        usual=params["usual"],
        mask_labels=mask_labels(params["run"]["masks"]),
        code_hash=params["code"],
        seed=params["seed"],
        searches=[json.loads(Path(path).read_text("utf-8")) for path in inputs.get("searches", [])],
        spectra=read_spectra(inputs.get("spectra", [])),
        features=with_usual_domains(read_features(inputs.get("features", [])), params["usual"]),
        feature_maps=with_usual_domains(read_maps(inputs.get("feature_maps", [])), params["usual"]),
        boxes=with_usual_domains(read_boxes(inputs.get("boxes", [])), params["usual"]),
        recoveries=read_recoveries(inputs.get("recoveries", [])),
        **params["run"] | {"attacks": abouts(params["run"]["attacks"])},
    )
    experiment = experiment_from(params["experiment"])
    records = experiment.records(scored)
    write_records(outputs["records"], records)
    table = load_function(experiment.table)(records, **experiment.table_arguments(scored))
    for kind, text in render(table).items():
        write_text(Path(outputs[kind]), text)
    if "pdf" in outputs:
        frame = experiment.frame(scored, records)
        figure = load_function(experiment.figure)(frame, **experiment.figure_arguments(scored))
        style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)
