"""Tables of the localized attacks, from the scores: records, CSV, Markdown, LaTeX."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    import pandas as pd

    from mrilib.experiments.localized import clean_scores, read_scores, table_records
    from mrilib.report.tables import localized_table, render
    from mrilib.store.atomic import write_text
    from mrilib.store.records import write_records

    scores = read_scores(inputs["scores"])
    quantity = params["quantity"]
    if quantity == "relative_error":
        scores = pd.concat([clean_scores(scores), scores], ignore_index=True)
    records = table_records(
        scores,
        quantity=quantity,
        lines=params["lines"],
        published=params["published"],
        published_sources=params["published_sources"],
        attacks=params["attacks"],
        source_hash=params["source"],
        seed=params["seed"],
    )
    write_records(outputs["records"], records)
    table = localized_table(records, labels=params["labels"], note=params["note"])
    for kind, text in render(table).items():
        write_text(Path(outputs[kind]), text)


if "snakemake" in globals():
    run(snakemake, main)
