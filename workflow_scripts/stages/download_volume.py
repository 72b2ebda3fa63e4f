"""One volume of mridata.org, or the reason why there is none that can be used."""

import json
import shlex

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.downloads.failures import UnusableFileError
    from mrilib.data.downloads.resumable import download
    from mrilib.store.atomic import write_text

    receipt, sha256 = Path(outputs["receipt"]), params["sha256"]
    found = {"volume": receipt.stem}
    try:
        path = download(params["url"], receipt.with_suffix(".h5"), sha256=sha256, kind="hdf5")
    except UnusableFileError as error:
        again = f"--forcerun {shlex.quote(str(receipt))}"
        found["rejected"] = f"{error}; when its source is mended, run again with {again}"
        print(f"rejected: {found['rejected']}")
    else:
        found["path"] = str(path)
        checked = "checksum compared" if sha256 else "no checksum given"
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {checked}")
    write_text(receipt, json.dumps(found, indent=1) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
