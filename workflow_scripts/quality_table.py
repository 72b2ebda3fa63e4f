"""Quality of every method on every source of scans: records, CSV, Markdown, LaTeX."""

from workflow_scripts.job import run

SHOWN = ("ssim", "psnr", "nmse", "seconds")


def main(inputs, outputs, params):
    from pathlib import Path

    import pandas as pd

    from mrilib.experiments.quality import QUANTITIES, quality_records
    from mrilib.report.tables import render
    from mrilib.report.tables_quality import quality_table
    from mrilib.store.atomic import write_text
    from mrilib.store.records import write_records

    scores = pd.concat([pd.read_csv(path) for path in inputs["scores"]], ignore_index=True)
    records = [
        record
        for quantity in QUANTITIES
        for record in quality_records(
            scores,
            quantity=quantity,
            methods=list(params["labels"]),
            masks=sorted(scores["mask"].unique()),
            source_hash=params["source"],
            seed=params["seed"],
        )
    ]
    simulated = scores.groupby("source")["simulated"].any().to_dict()
    shown = [record for record in records if record.quantity in SHOWN]
    table = quality_table(shown, labels=params["labels"], simulated=simulated)
    write_records(outputs["records"], records)
    for kind, text in render(table).items():
        write_text(Path(outputs[kind]), text)


if "snakemake" in globals():
    run(snakemake, main)
