"""One phantom, or one image of a source of files, measured by a single coil under a mask."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import torch

    from mrilib.data.images.ellipses import ellipse_phantoms
    from mrilib.data.images.files import list_images, read_image
    from mrilib.data.measurement import measure_image
    from mrilib.data.measurement_files import write_measurement
    from mrilib.data.sampling.base import name_seed, sampling_from
    from mrilib.store.units import derived_seed

    identity, settings, sampling = params["identity"], params["image"], params["sampling"]
    source, part, position = (identity[name] for name in ("source", "part", "position"))
    if settings["kind"] == "ellipses":
        seed = derived_seed(params["seed"], source, part)
        image = ellipse_phantoms(1, size=settings["size"], seed=seed, first=position)[0]
        about = {"description": "ellipse phantom", "patient": f"{part}-{position}", "simulated": False}
    else:
        paths = list_images(settings["files"])
        if position >= len(paths):
            raise ValueError(
                f"position {position}: only {len(paths)} images in {settings['files']}; "
                f"lower images.{source}.test in the config"
            )
        path = paths[position]
        options = {"size": settings["size"], "slice_index": settings["slice"], "resize": settings["resize"]}
        image = torch.from_numpy(read_image(path, **options))
        about = {"description": path.name, "patient": path.name, "simulated": True}
        print(f"{path}: {tuple(image.shape)}, resized by {settings['resize']}")
    drawing = sampling_from(sampling)
    mask = drawing.draw(tuple(image.shape), name_seed(f"{source}-{position}"))
    found = measure_image(image, mask, about=about)
    print(f"{found.operator.samples} of {image.numel()} samples, acceleration {found.acceleration:.3f}")
    write_measurement(outputs["measurement"], found, **identity)


if "snakemake" in globals():
    run(snakemake, main)
