"""The volumes of one archive of fastMRI."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.downloads.archives import unpack
    from mrilib.store.atomic import write_text

    listing, wanted = Path(outputs["listing"]), params["volumes"]
    names = None if wanted is None else {f"{name.removesuffix('.h5')}.h5" for name in wanted}
    paths = unpack(inputs["archive"], listing.parent, wanted=names)
    print(f"{len(paths)} volumes")
    write_text(listing, "".join(f"{path.absolute()}\n" for path in paths))


if "snakemake" in globals():
    run(snakemake, main)
