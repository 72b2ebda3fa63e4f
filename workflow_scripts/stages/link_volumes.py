"""Links to the volumes of fastMRI, wherever they lie."""

import json

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.downloads.archives import link_volumes
    from mrilib.store.atomic import write_text

    receipt, folders = Path(outputs["receipt"]), list(params["folders"])
    for listing in inputs.get("listings") or []:
        folders += sorted({str(Path(path).parent) for path in Path(listing).read_text().splitlines()})
    links = link_volumes(dict.fromkeys(folders), receipt.with_suffix(""))
    wanted = params["volumes"]
    if wanted is not None:
        names = {Path(name).stem for name in wanted}
        missing = sorted(names - {link.stem for link in links})
        if missing:
            raise ValueError(f"volumes {', '.join(missing)} are not in {', '.join(folders)}")
        links = [link for link in links if link.stem in names]
    print(f"{len(links)} volumes in {len(folders)} folders")
    write_text(
        receipt, json.dumps([{"volume": link.stem, "path": str(link)} for link in links], indent=1) + "\n"
    )


if "snakemake" in globals():
    run(snakemake, main)
