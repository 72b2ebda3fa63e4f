"""The slices of a set, by position, from the catalogue of a dataset."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.catalogue import read_catalogue
    from mrilib.data.selection import apart_from, select_slices, split_patients
    from mrilib.store.atomic import write_text
    from mrilib.store.units import derived_seed

    catalogue, selection = read_catalogue(inputs["catalogue"]), params["selection"]
    seed = derived_seed(params["seed"], selection["dataset"])
    part = selection["split"]
    if part is not None:
        accepted = catalogue[catalogue["accepted"]]
        parts = split_patients(accepted["patient"], params["fractions"], seed=seed)
        catalogue = catalogue[catalogue["patient"].map(parts).eq(part) | ~catalogue["accepted"]]
        print(f"{part}: patients {', '.join(sorted(name for name, own in parts.items() if own == part))}")
    others = {Path(path).stem: read_catalogue(path) for path in inputs.get("apart") or []}
    catalogue, left_out = apart_from(catalogue, others)
    for reason in left_out:
        print(reason)
    names = ("count", "acquisitions", "middle", "per_volume", "fewer")
    slices = select_slices(catalogue, seed=seed, **{name: selection[name] for name in names})
    if len(slices) < selection["count"]:
        print(f"only {len(slices)} slices for {selection['count']} positions, which the config allows")
    print(f"{len(slices)} slices of {slices['volume'].nunique()} volumes")
    write_text(outputs["slices"], slices.to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)
