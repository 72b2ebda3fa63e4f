"""Thresholds of exact recovery of an entry at one size and sparsity; some draws are a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.jobs.recover import recover
    from mrilib.store.atomic import write_text
    from mrilib.store.units import UnitStore
    from mrilib.theory.tables import KINDS

    store = UnitStore(params["units"], params["index"])
    frame = recover(
        params["entry"],
        params["size"],
        params["sparsity"],
        store,
        seed=params["seed"],
        code=params["code"],
    )
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_text(outputs["recoveries"], frame[[*KINDS]].to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)
