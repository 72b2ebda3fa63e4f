"""Scores of the annotated boxes on what one method made of the images of a source under one mask, as one CSV.

Inputs:
    slices: the set of test slices.
    annotations: boxes of every entry of the config on the source's dataset.
    measurements: of the test images, in order of position.
    reconstructions: of the clean measurements, in the same order.

Outputs:
    boxes: the CSV, a row for every box.

Params:
    annotations: names of the entries, in the order of their files.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.annotated_slices import boxes_on_slices, read_placed
    from mrilib.data.catalogue import read_catalogue
    from mrilib.experiments.box_scoring import score_boxes
    from mrilib.experiments.box_table import boxes_csv
    from mrilib.store.atomic import write_text

    tables = map(read_placed, inputs["annotations"])
    boxes, left_out = boxes_on_slices(
        read_catalogue(inputs["slices"]), dict(zip(params["annotations"], tables, strict=True))
    )
    for reason in left_out:
        print(reason)
    files = zip(inputs["measurements"], inputs["reconstructions"], strict=True)
    rows = [row for measurement, found in files for row in score_boxes(measurement, found, boxes)]
    failed = sum(bool(row["failed"]) for row in rows)
    print(
        f"{len(rows)} boxes on {len({row['position'] for row in rows})} of {len(inputs['measurements'])} "
        f"slices scored, {failed} on failed reconstructions; {len(left_out)} left out"
    )
    write_text(outputs["boxes"], boxes_csv(rows))


if "snakemake" in globals():
    run(snakemake, main)
