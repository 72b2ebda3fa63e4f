"""For each of the first hard slices one of their pool that is not hard, of the same anatomy and SNR.

Inputs:
    pool: set of the slices that the hard ones were chosen from.
    hard: set of the hard slices.

Outputs:
    slices: the set, in the order of the hard slices.

Params:
    selection: `count` of the first hard slices.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.catalogue import read_catalogue
    from mrilib.data.hard_slices import matched_control
    from mrilib.store.atomic import write_text

    pool, hard = (read_catalogue(inputs[name]) for name in ("pool", "hard"))
    count = params["selection"]["count"]
    slices, distances = matched_control(pool, hard, count=count)
    if len(slices) < count:
        print(f"only {len(slices)} slices for {count} positions, for there are no more hard ones")
    print(
        f"{len(slices)} slices of {slices['volume'].nunique()} volumes; |log ratio| of the SNR of a slice to "
        f"that of its hard one: median {distances.median():.3g}, largest {distances.max():.3g}; "
        f"{distances.isna().sum()} pairs of unknown noise"
    )
    write_text(outputs["slices"], slices.to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)
