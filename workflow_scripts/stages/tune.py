"""A method's parameter on the validation images of a domain, by level or on clean data; each is a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import json

    from mrilib.data.measurement_files import measurement_hash, read_measurement
    from mrilib.jobs.device import device
    from mrilib.reconstructors.base import Reconstructor
    from mrilib.store.arrays import Group
    from mrilib.store.atomic import write_text
    from mrilib.store.classes import load_class
    from mrilib.store.units import UnitStore, content_hash
    from mrilib.training.tuning import tune

    read = [read_measurement(path, device()) for path in inputs["measurements"]]
    measurements = [found for found in read if found is not None]
    method, settings = params["method"], params["tune"]
    kind = load_class(method["reconstructor"], Reconstructor)
    arguments = method["parameters"] | {"tolerance": settings["tolerance"]}
    store = UnitStore(params["units"], params["index"])
    data = [measurement_hash(each) for each in measurements]

    def unit(level, name, keep):
        found = tune(
            lambda value: kind(**arguments, **{settings["parameter"]: value}),
            measurements,
            level=level,
            weights=params["values"],
            seed=params["seed"],
            keep=keep,
            name=name,
        )
        return Group(
            arrays={"errors": found.errors},
            attributes={
                "chosen": found.chosen,
                "at_edge": found.at_edge,
                "weights": found.weights,
                "unconverged": found.unconverged,
            },
        )

    tuned = {}
    for name in params["tuned"]:
        level = 0.0 if name == "clean" else float(name)
        key = {"stage": "tune", "code": params["code"], "method": method, "arguments": arguments}
        key |= {"values": params["values"], "level": level, "seed": params["seed"], "data": data}
        keep = store.claim(f"tuning-{content_hash(key)}.pt")
        label = f"{len(data)} images" if name == "clean" else f"level {name}"
        found = store.get(key, lambda level=level, label=label, keep=keep: unit(level, label, keep))
        keep.unlink(missing_ok=True)
        values = {
            each: getattr(value, "tolist", lambda value=value: value)()
            for each, value in found.attributes.items()
        }
        tuned[name] = values | {"errors": found.arrays["errors"].tolist()}
        if values["at_edge"]:
            print(f"warning: {label}: the best value {values['chosen']:.2e} is at the grid's edge")
    store.finish()
    print(f"{store.computed} levels computed, {store.found} found")
    result = {"parameter": settings["parameter"], "tuned": tuned}
    write_text(outputs["tuning"], json.dumps(result, indent=1) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
