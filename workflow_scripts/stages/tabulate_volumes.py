"""The catalogue of all datasets: every slice as CSV, a row a volume for reading."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import pandas as pd

    from mrilib.data.catalogue import read_catalogue, summarise_volumes
    from mrilib.report.tables import Table, render
    from mrilib.store.atomic import write_text

    catalogue = pd.concat([read_catalogue(path) for path in inputs["catalogues"]], ignore_index=True)
    volumes = summarise_volumes(catalogue)
    accepted = int((volumes["accepted"] == "yes").sum())
    print(f"{len(volumes)} volumes, {accepted} accepted, {len(volumes) - accepted} rejected")
    table = Table(
        long=catalogue,
        wide=volumes,
        title="Volumes of raw multi-coil data",
        note="Scale: maximum of the volume's RSS image, in the scanner's units. Noise: standard deviation of "
        "each real channel of k-space. The CSV has a row for every slice.",
    )
    for kind, text in render(table).items():
        write_text(outputs[kind], text)


if "snakemake" in globals():
    run(snakemake, main)
