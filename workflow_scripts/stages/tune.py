"""A method's parameter on the validation images of a domain, by level or on clean data; each is a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import json

    from mrilib.data.measurement_files import read_measurement
    from mrilib.jobs.device import device
    from mrilib.jobs.tune import tune_method
    from mrilib.store.atomic import write_text
    from mrilib.store.units import UnitStore

    read = [read_measurement(path, device()) for path in inputs["measurements"]]
    store = UnitStore(params["units"], params["index"])
    result = tune_method(
        params["method"],
        [found for found in read if found is not None],
        store,
        **params["tune"],
        values=params["values"],
        tuned=params["tuned"],
        seed=params["seed"],
        code=params["code"],
    )
    store.finish()
    print(f"{store.computed} levels computed, {store.found} found")
    write_text(outputs["tuning"], json.dumps(result, indent=1) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
