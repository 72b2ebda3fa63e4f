"""One volume of raw data in the fastMRI schema, or the reason why it is rejected."""

import json
import shlex

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from dataclasses import asdict, is_dataclass
    from pathlib import Path

    from mrilib.data.file_presence import found_instead
    from mrilib.data.volumes.base import reader_from
    from mrilib.data.volumes.foreign import VolumeError
    from mrilib.store.atomic import write_text

    receipt = Path(outputs["receipt"])
    volume = receipt.with_suffix(".h5")
    # A file of the config, or what was said of one that was fetched.
    fetched = json.loads(Path(inputs["fetched"]).read_text()) if "fetched" in inputs else {}
    source = Path(str(fetched.get("path") or inputs.get("file")))
    found, rejected, about = {"volume": volume.stem, "source": str(source)}, fetched.get("rejected"), None
    again = f"then run again with --forcerun {shlex.quote(str(receipt))}"
    # Some formats are folders: readers say what they think of one.
    if rejected is None and not source.is_dir() and (instead := found_instead(source)):
        if fetched:
            mend = f"run again with --forcerun {shlex.quote(inputs['fetched'])}"
            raise FileNotFoundError(f"{source}: expected the volume that was fetched, got {instead}; {mend}")
        rejected = f"{source}: expected a file of raw data, got {instead}; mend it or leave it out; {again}"
    if rejected is None:
        try:
            about = reader_from(params["reader"]).convert(source, volume)
        except VolumeError as error:
            rejected = str(error)
        except (FileNotFoundError, PermissionError) as error:
            # Of a second file that belongs to it; not of the volume, which is ours to write.
            if error.filename and Path(error.filename).parent == volume.parent:
                raise
            rejected = f"{error}; {again}"
    if rejected is not None:
        if params["strict"]:
            raise ValueError(f"{volume.stem}: {rejected} (strict: true)")
        volume.unlink(missing_ok=True)
        print(f"rejected: {rejected}")
        found["rejected"] = rejected
    elif not volume.is_file():
        raise FileNotFoundError(
            f"{params['reader']['class']}: expected a volume at {volume} after convert, found none"
        )
    else:
        print(about)
        found |= {"path": str(volume), "about": asdict(about) if is_dataclass(about) else str(about)}
    # What describes a conversion is the reader's: numbers and text stay, paths and others become text.
    write_text(receipt, json.dumps(found, indent=1, default=str) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
