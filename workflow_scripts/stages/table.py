"""One table of all results, from the scores: records, CSV, Markdown, LaTeX.

Inputs:
    scores: score files of the run, in the order in which sources are to stand.

Outputs:
    records, csv, md, tex.

Params:
    table: `quality`, `table-1`, `transfer-QUANTITY`, or a quantity of `mrilib.metrics.quantities`.
    methods: method to its column of the paper's table, or null; in order.
    masks: mask to what it is (`about` of its sampling); in order.
    attacks: attack to what it is (`kind`, `objective`, `region`, `artifact`, …); in order.
    sources: in order.
    published_sources: sources of images like the paper's.
    usual: source to mask to the domain that the config gives them; `source@mask` for those left out.
    domain_labels: domain to the name to print.
    source_name: the source that `table-1` shows.
    labels: method to the name to print.
    note: below the tables of attacks.
    code: the stage's code hash.
    seed: of the resampling.
"""

from workflow_scripts.job import run

# Of all measures of quality, those in the table; the records have all.
SHOWN = ("ssim", "psnr", "nmse", "seconds")


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.attacks.kinds.base import abouts
    from mrilib.experiments.localized import Order, table_records, transfer_records
    from mrilib.experiments.quality import quality_records
    from mrilib.experiments.scores import read_scores, with_usual_domains
    from mrilib.metrics.quantities import QUALITY
    from mrilib.report.names import mask_labels
    from mrilib.report.tables import render
    from mrilib.report.tables_attacks import localized_table, table_1, transfer_table
    from mrilib.report.tables_quality import quality_table
    from mrilib.store.atomic import write_text
    from mrilib.store.records import write_records

    scores, name = with_usual_domains(read_scores(inputs["scores"]), params["usual"]), params["table"]
    names = ("methods", "masks", "sources", "published_sources")
    attacks = abouts(params["attacks"])
    order = Order(attacks=attacks, **{key: params[key] for key in names})
    common = {"order": order, "code_hash": params["code"], "seed": params["seed"]}
    masks, domains = mask_labels(params["masks"]), params["domain_labels"]
    printed = {"labels": params["labels"], "note": params["note"], "attacks": attacks}
    if name == "quality":
        every = {each: quality_records(scores, quantity=each, **common) for each in QUALITY}
        records = [record for found in every.values() for record in found]
        table = quality_table(
            [record for each in SHOWN for record in every[each]],
            labels=params["labels"],
            simulated=scores.groupby("source")["simulated"].any().to_dict(),
            mask_labels=masks,
            domain_labels=domains,
        )
    elif name.startswith("transfer-"):
        quantity = name.removeprefix("transfer-")
        records = transfer_records(scores, quantity=quantity, **common)
        table = transfer_table(records, quantity=quantity, domain_labels=domains, **printed)
    elif name == "table-1":
        source, quantity = params["source_name"], "amplification"
        records = table_records(scores[scores["source"] == source], quantity=quantity, **common)
        table = table_1(records, quantity=quantity, source=source, mask_labels=masks, **printed)
    else:
        records = table_records(scores, quantity=name, **common)
        table = localized_table(records, quantity=name, domain_labels=domains, **printed)
    write_records(outputs["records"], records)
    for kind, text in render(table).items():
        write_text(Path(outputs[kind]), text)


if "snakemake" in globals():
    run(snakemake, main)
