"""Amplification under a weight and a level of noise, on the draws of an entry at one size and sparsity."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.jobs.recover_noisy import recover_noisy
    from mrilib.store.atomic import write_text
    from mrilib.theory.tables import NOISY_KINDS, read_recoveries

    frame = recover_noisy(
        params["entry"],
        read_recoveries([inputs["recoveries"]]),
        params["size"],
        params["sparsity"],
        **params["noisy"],
        seed=params["seed"],
    )
    write_text(outputs["recoveries"], frame[[*NOISY_KINDS]].to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)
