"""What one method makes of one measurement: a unit for everything that its parameter is tuned for."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.measurement_files import measurement_hash, read_measurement
    from mrilib.jobs.device import device
    from mrilib.jobs.methods import Methods, root_attributes
    from mrilib.jobs.reconstruct import reconstruction_unit
    from mrilib.store.arrays import Group, write_groups
    from mrilib.store.units import UnitStore, content_hash

    measurement = read_measurement(inputs["measurement"], device())
    if measurement is None:
        write_groups(
            outputs["reconstruction"], {"": Group(attributes=params["identity"] | {"missing": True})}
        )
        return
    methods = Methods(params["method"], inputs)
    store, data = UnitStore(params["units"], params["index"]), measurement_hash(measurement)
    groups = {"": Group(attributes=root_attributes(params["identity"], measurement, methods.kind))}
    for tuned in params["tuned"]:
        arguments = methods.arguments(tuned)
        key = methods.key | {
            "stage": "reconstruct",
            "code": params["code"],
            "arguments": arguments,
            "data": data,
        }
        key |= {"state": params["keep_state"]}
        keep = store.claim(f"fit-{content_hash(key)}.pt") if methods.kind.resumable else None

        def unit(arguments=arguments, keep=keep):
            return reconstruction_unit(
                methods.made(arguments),
                measurement,
                weight=methods.weight(arguments),
                keep=keep,
                keep_state=params["keep_state"],
            )

        groups[tuned] = store.get(key, unit)
        if keep is not None:
            keep.unlink(missing_ok=True)
        about = groups[tuned].attributes
        print(f"{tuned}: {about.get('failed', about['status'])}, {about['seconds']:.2f} s", flush=True)
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_groups(outputs["reconstruction"], groups)


if "snakemake" in globals():
    run(snakemake, main)
