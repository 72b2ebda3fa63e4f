"""Annotated boxes of the volumes of a dataset: as a table, and drawn on their images."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from dataclasses import replace
    from pathlib import Path

    from mrilib.data.annotations import read_annotations
    from mrilib.data.catalogue import read_catalogue
    from mrilib.data.scans import ScanRecord
    from mrilib.report import figures_volumes, style
    from mrilib.store.atomic import write_text

    catalogue = read_catalogue(inputs["catalogue"])
    volumes = catalogue[catalogue["accepted"]].drop_duplicates("volume")
    records = {row["volume"]: ScanRecord.of_row(row) for row in volumes.to_dict("records")}
    shapes = {name: (record.target_rows, record.target_columns) for name, record in records.items()}
    table, faults = read_annotations(inputs["file"], shapes=shapes, strict=False)
    for fault in faults:
        print(fault)
    print(f"{len(table)} annotations of {table['file'].nunique()} volumes, {len(faults)} rows left out")
    boxes = table[~table["study_level"].astype(bool)]
    slices = list(boxes.groupby(["file", "slice"], sort=True))
    if not slices:
        raise ValueError(f"{inputs['file']}: no box on a volume of the dataset; it has {', '.join(shapes)}")
    # A slice of every volume before a second one of any.
    turn = boxes.drop_duplicates(["file", "slice"]).sort_values(["file", "slice"]).groupby("file").cumcount()
    order = sorted(range(len(slices)), key=lambda number: (turn.iloc[number], number))
    shown = [slices[number] for number in order[: figures_volumes.MOST_BOXES]]
    figure = figures_volumes.annotated(
        [replace(records[name], slice=int(number)).picture() for (name, number), _ in shown],
        [rows for _, rows in shown],
        [f"{name}, slice {number}" for (name, number), _ in shown],
        title=f"Annotations of {Path(inputs['file']).name}",
    )
    write_text(outputs["table"], table.to_csv(index=False))
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)
