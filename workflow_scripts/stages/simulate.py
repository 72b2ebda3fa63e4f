"""One volume simulated from real magnitude images."""

import json

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.images.files import read_image
    from mrilib.data.images.variants import drawn_variants
    from mrilib.data.volumes.simulated import simulate_volume
    from mrilib.store.atomic import write_text
    from mrilib.store.units import derived_seed

    drawn, settings = params["volume"], params["settings"]
    seed = derived_seed(params["seed"], *params["name"])
    if drawn["draws"] is not None:
        grid = {"rows": settings["rows"], "columns": settings["columns"]}
        image = read_image(drawn["file"], size=None)
        images = drawn_variants(image, drawn["draws"], seed=derived_seed(seed, "variants"), **grid)
        source = f"{drawn['file']}, {drawn['draws']} variants"
    else:
        slices = drawn["slices"]
        # One image, or slices of a volume.
        numbers = [None] if slices is None else range(slices["start"], slices["stop"], slices["step"])
        images = [read_image(drawn["file"], size=None, slice_index=number) for number in numbers]
        source = drawn["file"]
    receipt = Path(outputs["receipt"])
    volume = receipt.with_suffix(".h5")
    # Volumes of one dataset share neither coil maps nor phase nor noise.
    header = simulate_volume(images, volume, seed=seed, source=source, **settings)
    print(f"{volume}: {header.shape} from {source}")
    write_text(receipt, json.dumps({"volume": volume.stem, "path": str(volume)}, indent=1) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
