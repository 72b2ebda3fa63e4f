"""What one method makes of one measured slice, and how long it takes."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import time

    import torch

    from mrilib.store.arrays import Group, write_groups
    from workflow_scripts.measured import Measured, made

    torch.set_num_threads(1)
    measured = Measured(inputs["measurement"])
    attributes = measured.attributes | {"method": params["name"], "mask": params["mask"]}
    if measured.missing:
        write_groups(outputs["reconstruction"], {"": Group(attributes=attributes)})
        return
    reconstructor = made(params["method"], inputs)
    started = time.perf_counter()
    solution = reconstructor.solve(measured.kspace, measured.operator, throw=False)
    image = solution.value
    if reconstructor.output == "complex":
        image = measured.operator.seen(image)
    image = image.cpu()  # waits for the device
    seconds = time.perf_counter() - started
    print(f"{params['name']}: {seconds:.2f} s, {solution.status.value}")
    if solution.status.failed or not bool(torch.isfinite(image.abs()).all()):
        attributes["failed"] = solution.status.value
    arrays = {"reconstruction": image.numpy()}
    curve = solution.stats.get("loss_curve")
    if curve is not None:
        arrays["loss_curve"] = curve.cpu().numpy()
    for name in ("gap", "objective", "steps"):
        if name in solution.stats:
            attributes[name] = float(solution.stats[name])
    group = Group(arrays, attributes | {"seconds": seconds}, {"reconstruction": "of the measurement"})
    write_groups(outputs["reconstruction"], {"": group})


if "snakemake" in globals():
    run(snakemake, main)
