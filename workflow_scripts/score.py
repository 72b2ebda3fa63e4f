"""Scores of the attacks on all images of a method and mask, as one CSV."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import pandas as pd

    from mrilib.experiments.scoring import score_attacks
    from mrilib.store.atomic import write_text

    transfers = inputs["transfers"] or [None] * len(inputs["attacks"])
    pairs = zip(inputs["attacks"], transfers, strict=True)
    rows = [row for attacks, transfer in pairs for row in score_attacks(attacks, transfer)]
    failed = sum(bool(row["failed"]) for row in rows)
    print(f"{len(rows)} perturbations of {len(inputs['attacks'])} files scored, {failed} failed")
    write_text(outputs["scores"], pd.DataFrame(rows).to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)
