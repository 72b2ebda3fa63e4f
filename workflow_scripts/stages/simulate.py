"""One volume simulated from real magnitude images, or the reason why they cannot be read."""

import json

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.images.files import read_image, resolve_path
    from mrilib.data.images.variants import drawn_variants
    from mrilib.data.volumes.simulated import simulate_volume
    from mrilib.store.atomic import write_text
    from mrilib.store.units import derived_seed

    receipt, drawn, settings = Path(outputs["receipt"]), params["volume"], dict(params["settings"])
    volume = receipt.with_suffix(".h5")
    seed = derived_seed(params["seed"], *params["name"])
    # Not within what follows: a package that is not installed is no fault of the image.
    slices, source, file = drawn["slices"], drawn["file"], resolve_path(drawn["file"])
    # One image, or slices of a volume.
    numbers = [None] if slices is None else range(slices["start"], slices["stop"], slices["step"])
    try:
        images = [read_image(file, size=None, slice_index=number) for number in numbers]
    except (ValueError, FileNotFoundError) as error:
        if params["strict"]:
            raise
        volume.unlink(missing_ok=True)
        print(f"rejected: {error}")
        write_text(receipt, json.dumps({"volume": volume.stem, "rejected": str(error)}, indent=1) + "\n")
        return
    if drawn["draws"] is not None:
        grid = {"rows": settings["rows"], "columns": settings["columns"]}
        images = drawn_variants(images[0], drawn["draws"], seed=derived_seed(seed, "variants"), **grid)
        source, settings["shrink"] = f"{source}, {drawn['draws']} variants", 1
    # Volumes of one dataset share neither coil maps nor phase nor noise.
    header = simulate_volume(images, volume, seed=seed, source=source, **settings)
    print(f"{volume}: {header.shape} from {source}")
    write_text(receipt, json.dumps({"volume": volume.stem, "path": str(volume)}, indent=1) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
