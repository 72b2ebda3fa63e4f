"""An argument of an attack's search on validation images of a domain; each value on each image is a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import json

    from mrilib.data.measurement_files import read_measurement
    from mrilib.jobs.device import device
    from mrilib.jobs.methods import Methods
    from mrilib.jobs.tune_search import tune_search
    from mrilib.store.atomic import write_text
    from mrilib.store.units import UnitStore

    read = [read_measurement(path, device()) for path in inputs["measurements"]]
    store = UnitStore(params["units"], params["index"])
    result = tune_search(
        Methods(params["method"], inputs),
        [found for found in read if found is not None],
        store,
        attack=params["attack"],
        **params["tune"],
        seed=params["seed"],
        code=params["code"],
    )
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_text(outputs["tuning"], json.dumps(params["identity"] | result, indent=1) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
