"""A page of thumbnails: the middle slice of every volume, or more of few; and why others were rejected."""

from workflow_scripts.job import run

# Panels that a page has at least, as long as there are slices.
LEAST = 8


def spread(slices, count):
    """So many of the slices, evenly spaced; the only one is in the middle."""
    return {int((number + 0.5) * slices / min(count, slices)) for number in range(min(count, slices))}


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.catalogue import read_catalogue
    from mrilib.data.scans import ScanRecord
    from mrilib.report import figures_volumes, style

    catalogue = read_catalogue(inputs["catalogue"])
    accepted = catalogue[catalogue["accepted"]]
    volumes = accepted["volume"].nunique()
    each = -(-LEAST // max(1, volumes))
    shown = accepted.loc[
        [row.Index for row in accepted.itertuples() if row.slice in spread(row.slices, each)]
    ]
    images = [ScanRecord.of_row(row).picture() for row in shown.to_dict("records")]
    names = [f"{row.volume} {row.slice}" for row in shown.itertuples()]
    out = catalogue.loc[~catalogue["accepted"], ["volume", "reason"]].drop_duplicates("volume")
    kind = ", simulated" if shown["simulated"].any() else ""
    title = f"{params['dataset']}{kind}: {volumes} volume{'s' * (volumes != 1)}, {len(out)} rejected"
    rejected = list(out.itertuples(index=False, name=None))
    figure = figures_volumes.thumbnails(images, names, title=title, rejected=rejected)
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)
