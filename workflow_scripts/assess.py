"""Quality of what a method made of the test slices of a source."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import pandas as pd

    from mrilib.experiments.assessment import assess
    from mrilib.store.arrays import read_group
    from mrilib.store.atomic import write_text

    rows = []
    for path, measurement in zip(inputs["reconstructions"], inputs["measurements"], strict=True):
        found, measured = read_group(path), read_group(measurement, arrays=None)
        about = found.attributes
        if about.get("missing"):
            continue
        names = ("position", "volume", "slice", "patient", "anatomy", "simulated", "acceleration")
        row = params["identity"] | {name: about[name] for name in names}
        row |= {"seconds": about["seconds"], "failed": about.get("failed")}
        if row["failed"] is None:
            target, maximum = measured.arrays["target"], measured.attributes["maximum"]
            row |= assess(found.arrays["reconstruction"], target, maximum=maximum)
        rows.append(row)
    scores = pd.DataFrame(rows)
    print(scores.to_string(max_colwidth=24))
    write_text(outputs["scores"], scores.to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)
