"""Links to the volumes of fastMRI, wherever they lie; what can be none is rejected with the reason."""

import json

from workflow_scripts.job import run

# The receipt depends on no file that lies in the folders.
AGAIN = "then run again with --forcerun link_volumes"


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.downloads.archives import VOLUME_ENDING, link_volumes
    from mrilib.store.atomic import write_text

    receipt, folders = Path(outputs["receipt"]), list(params["folders"])
    for listing in inputs.get("listings") or []:
        files = map(Path, Path(listing).read_text(encoding="utf-8").split("\n"))
        folders += sorted({str(file.parent) for file in files if file.suffix == VOLUME_ENDING})
    found = link_volumes(dict.fromkeys(folders), receipt.with_suffix(""))
    volumes = {link.name: {"volume": link.stem, "path": str(link)} for link in found.links}
    for name, reason in found.rejected.items():
        volumes[name] = {"volume": name.removesuffix(VOLUME_ENDING), "rejected": f"{reason}; {AGAIN}"}
    wanted = params["volumes"]
    if wanted is not None:
        names = {name.removesuffix(VOLUME_ENDING) for name in wanted}
        # A rejected one may have another ending.
        volumes = {name: each for name, each in volumes.items() if Path(name).stem in names}
        missing = sorted(names - {Path(name).stem for name in volumes})
        if missing:
            raise ValueError(f"volumes {', '.join(missing)} are not in {', '.join(folders)}")
    print(f"{len(volumes)} volumes in {len(folders)} folders")
    for each in volumes.values():
        if "rejected" in each:
            print(f"rejected: {each['rejected']}")
    write_text(receipt, json.dumps(list(volumes.values()), indent=1) + "\n")


if "snakemake" in globals():
    run(snakemake, main)
