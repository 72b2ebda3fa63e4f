"""The slices of a pool that some methods reconstruct worst, by position, hardest first.

Inputs:
    pool: set of the slices.
    scores: score files of the methods on the pool.

Outputs:
    slices: the set, with the `difficulty` of each slice.

Params:
    selection: `by`, the methods; `quantity`, what their clean reconstructions are judged by; `count` of
        slices; `fewer`, whether half of the pool will do.
    metric: `class` and `arguments` of the quantity where the config adds it; else none.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.catalogue import read_catalogue
    from mrilib.data.hard_slices import hardest_slices
    from mrilib.experiments.scores import lowest_tuned, read_scores, valued
    from mrilib.metrics.base import metric_from
    from mrilib.metrics.quantities import QUANTITIES
    from mrilib.store.atomic import write_text

    pool, selection, metric = read_catalogue(inputs["pool"]), params["selection"], params["metric"]
    name = selection["quantity"]
    quantity = QUANTITIES[name] if metric is None else metric_from(metric).quantity
    slices, left_out = hardest_slices(
        pool,
        valued(lowest_tuned(read_scores(inputs["scores"])), name),
        higher_is_better=quantity.higher_is_better,
        **{key: selection[key] for key in ("by", "count", "fewer")},
    )
    for reason in left_out:
        print(reason)
    if len(slices) < selection["count"]:
        print(f"only {len(slices)} slices for {selection['count']} positions, which the config allows")
    print(
        f"{len(slices)} of {len(pool)} slices, of {slices['volume'].nunique()} volumes; {name} from "
        f"{slices['difficulty'].iloc[0]:.4g}, the hardest, to {slices['difficulty'].iloc[-1]:.4g}"
    )
    write_text(outputs["slices"], slices.to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)
