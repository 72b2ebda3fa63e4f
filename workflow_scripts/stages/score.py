"""Scores of all that one method made of the images of a source under one mask, as one CSV.

Inputs, all lists in order of position:
    measurements: of the test images.
    reconstructions: of the clean measurements.
    attacks: on the method; none where nothing attacks it.
    transfers: what the method makes of perturbations made for others; none where there are none.

Outputs:
    scores: the CSV, a row for every reconstruction, clean or of perturbed data.

Params:
    metrics: those beside ours: name to `class` and `arguments`.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.experiments.scores import scores_csv
    from mrilib.experiments.scoring import score_image
    from mrilib.metrics.base import metric_from
    from mrilib.store.atomic import write_text

    nothing = [None] * len(inputs["measurements"])
    lists = (
        inputs["measurements"],
        inputs["reconstructions"],
        inputs.get("attacks") or nothing,
        inputs.get("transfers") or nothing,
    )
    metrics = {name: metric_from(each) for name, each in params["metrics"].items()}
    rows = [row for files in zip(*lists, strict=True) for row in score_image(*files, metrics=metrics)]
    failed = sum(bool(row["failed"]) for row in rows)
    print(f"{len(rows)} reconstructions of {len(nothing)} images scored, {failed} failed")
    write_text(outputs["scores"], scores_csv(rows, metrics))


if "snakemake" in globals():
    run(snakemake, main)
