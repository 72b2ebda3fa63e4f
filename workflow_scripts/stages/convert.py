"""One volume of raw data in the fastMRI schema, or the reason why it is rejected."""

import json

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from dataclasses import asdict, is_dataclass
    from pathlib import Path

    from mrilib.data.volumes.base import reader_from
    from mrilib.data.volumes.foreign import VolumeError
    from mrilib.store.atomic import write_text

    receipt, source = Path(outputs["receipt"]), Path(str(inputs["file"]))
    volume = receipt.with_suffix(".h5")
    found = {"volume": volume.stem, "source": str(source)}
    try:
        about = reader_from(params["reader"]).convert(source, volume)
    except VolumeError as error:
        if params["strict"]:
            raise
        volume.unlink(missing_ok=True)
        print(f"rejected: {error}")
        found["rejected"] = str(error)
    else:
        if not volume.is_file():
            raise FileNotFoundError(
                f"{params['reader']['class']}: expected a volume at {volume} after convert, found none"
            )
        print(about)
        found |= {"path": str(volume), "about": asdict(about) if is_dataclass(about) else str(about)}
    # What describes a conversion is the reader's: numbers and text stay, paths and others become text.
    write_text(receipt, json.dumps(found, indent=1, default=str) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
