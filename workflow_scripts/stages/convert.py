"""One volume of raw data in the fastMRI schema, or the reason why it is rejected."""

import json

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from dataclasses import asdict, is_dataclass
    from pathlib import Path

    from mrilib.data.volumes.cfl import convert_cfl
    from mrilib.data.volumes.foreign import VolumeError
    from mrilib.data.volumes.ismrmrd import convert
    from mrilib.store.atomic import write_text

    receipt, source = Path(outputs["receipt"]), Path(str(inputs["file"]))
    volume = receipt.with_suffix(".h5")
    found = {"volume": volume.stem, "source": str(source)}
    try:
        if source.suffix in (".cfl", ".hdr"):
            about = convert_cfl(source, volume, **params["options"])
        else:
            about = convert(source, volume)
    except VolumeError as error:
        if params["strict"]:
            raise
        volume.unlink(missing_ok=True)
        print(f"rejected: {error}")
        found["rejected"] = str(error)
    else:
        print(about)
        found |= {"path": str(volume), "about": asdict(about) if is_dataclass(about) else str(about)}
    write_text(receipt, json.dumps(found, indent=1) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
