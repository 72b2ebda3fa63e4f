"""Tables of the attacks, from the scores: records, CSV, Markdown, LaTeX."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    import pandas as pd

    from mrilib.experiments.localized import (
        Order,
        clean_scores,
        own_scores,
        read_scores,
        table_records,
        transfer_records,
    )
    from mrilib.report.tables import localized_table, render, table_1, transfer_table
    from mrilib.store.atomic import write_text
    from mrilib.store.records import write_records

    scores, name = read_scores(inputs["scores"]), params["table"]
    order = Order(params["published"], params["lines"], params["attacks"], params["published_sources"])
    common = {"order": order, "source_hash": params["source"], "seed": params["seed"]}
    printed = {"labels": params["labels"], "note": params["note"]}
    if name.startswith("transfer-"):
        records = transfer_records(scores, quantity=name.removeprefix("transfer-"), **common)
        table = transfer_table(records, **printed)
    elif name == "table-1":
        chosen = scores[scores["source"] == params["source_name"]]
        records = table_records(chosen, quantity="amplification", **common)
        table = table_1(records, **printed)
    else:
        if name == "relative_error":
            scores = pd.concat([clean_scores(own_scores(scores)), scores], ignore_index=True)
        records = table_records(scores, quantity=name, **common)
        table = localized_table(records, **printed)
    write_records(outputs["records"], records)
    for kind, text in render(table).items():
        write_text(Path(outputs[kind]), text)


if "snakemake" in globals():
    run(snakemake, main)
