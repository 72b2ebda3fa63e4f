"""What studies of small features found on all images of a source under one mask, by one method.

Inputs:
    features: a file for each image.

Outputs:
    table: CSV, a row an image and entry; maps: CSV, sums by place.

Params:
    features: study to its `class` and `arguments`.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.experiments.feature_tables import feature_tables
    from mrilib.features.kinds.base import feature_from
    from mrilib.store.atomic import write_text

    kinds = {name: feature_from(described) for name, described in params["features"].items()}
    table, maps = feature_tables(inputs["features"], kinds)
    print(f"{len(inputs['features'])} images, {len(table)} rows, {(table['failed'] != '').sum()} failed")
    write_text(outputs["table"], table.to_csv(index=False))
    write_text(outputs["maps"], maps.to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)
