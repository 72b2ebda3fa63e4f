"""One sampling mask."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.masks import radial_mask
    from mrilib.store.arrays import Group, write_groups

    mask = radial_mask(params["size"], params["lines"])
    samples = int(mask.sum())
    acceleration = mask.numel() / samples
    print(f"{params['lines']} lines: {samples} of {mask.numel()} samples, acceleration {acceleration:.3f}")
    attributes = {"lines": params["lines"], "samples": samples, "acceleration": acceleration}
    write_groups(outputs["mask"], {"": Group(arrays={"mask": mask.numpy()}, attributes=attributes)})


if "snakemake" in globals():
    run(snakemake, main)
