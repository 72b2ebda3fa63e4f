"""Energy of every column of k-space, of all test images of a source under a mask."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.spectra import spectra_of
    from mrilib.store.atomic import write_text

    spectra = spectra_of(inputs["measurements"])
    print(f"{spectra['position'].nunique()} images of {len(inputs['measurements'])} positions")
    write_text(outputs["spectra"], spectra.to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)
