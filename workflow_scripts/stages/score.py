"""Scores of all that one method made of the images of a source under one mask, as one CSV.

Inputs, all lists in order of position:
    measurements: of the test images.
    reconstructions: of the clean measurements.
    attacks: on the method, of the first images; none where nothing attacks it.
    transfers: what the method makes of perturbations made for others; of the first images as well.

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

    count = len(inputs["measurements"])
    attacks, transfers = (
        [*found, *[None] * (count - len(found))]
        for found in (inputs.get("attacks") or [], inputs.get("transfers") or [])
    )
    lists = (inputs["measurements"], inputs["reconstructions"], attacks, transfers)
    metrics = {name: metric_from(each) for name, each in params["metrics"].items()}
    rows = [row for files in zip(*lists, strict=True) for row in score_image(*files, metrics=metrics)]
    failed = sum(bool(row["failed"]) for row in rows)
    print(f"{len(rows)} reconstructions of {count} images scored, {failed} failed")
    write_text(outputs["scores"], scores_csv(rows, metrics))


if "snakemake" in globals():
    run(snakemake, main)
