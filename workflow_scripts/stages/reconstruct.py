"""What one method makes of one measurement: a unit for everything that its parameter is tuned for."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.measurement_files import read_measurement
    from mrilib.jobs.device import device
    from mrilib.jobs.methods import Methods
    from mrilib.jobs.reconstruct import reconstruct_image
    from mrilib.store.arrays import write_groups
    from mrilib.store.units import UnitStore

    store = UnitStore(params["units"], params["index"])
    groups = reconstruct_image(
        read_measurement(inputs["measurement"], device()),
        Methods(params["method"], inputs),
        params["tuned"],
        store,
        identity=params["identity"],
        code=params["code"],
        keep_state=params["keep_state"],
    )
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_groups(outputs["reconstruction"], groups)


if "snakemake" in globals():
    run(snakemake, main)
