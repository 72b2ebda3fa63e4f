"""One slice, undersampled and scaled, with its coil maps and its target."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import pandas as pd
    import torch

    from mrilib.data.fastmri import read_header, read_slice
    from mrilib.data.masks import column_mask, name_seed
    from mrilib.data.measurement import prepare
    from mrilib.store.arrays import Group, write_groups

    slices, position = (
        pd.read_csv(inputs["slices"], dtype={"volume": str, "patient": str}),
        params["position"],
    )
    identity = {"position": position}
    if position >= len(slices):
        print(f"no slice: the set has {len(slices)}")
        write_groups(outputs["measurement"], {"": Group(attributes=identity | {"missing": True})})
        return
    row = slices.iloc[position]
    scan, spec = read_slice(row["path"], int(row["slice"])), params["mask"]
    mask = column_mask(
        int(row["columns"]),
        acceleration=spec["acceleration"],
        center_fraction=spec["center_fraction"],
        kind=spec["kind"],
        seed=name_seed(f"{row['volume']}.h5"),
        redraw_within=spec["redraw"],
    )
    # Some brains of fastMRI have a target wider than their k-space.
    shape = min(row["target_rows"], row["rows"]), min(row["target_columns"], row["columns"])
    found = prepare(torch.from_numpy(scan.kspace), mask, target_shape=tuple(map(int, shape)))
    print(
        f"{row['volume']}, slice {row['slice']}: acceleration {found.acceleration:.3f}, "
        f"scale {found.scale:g}, calibrated on {found.calibration[0]}×{found.calibration[1]}"
    )
    names = ("dataset", "volume", "slice", "anatomy", "acquisition", "patient", "simulated", "hash")
    # Plain values: pandas gives NumPy's.
    identity |= {name: getattr(row[name], "item", lambda name=name: row[name])() for name in names}
    arrays = {name: getattr(found, name).numpy() for name in ("kspace", "mask", "coil_maps", "target")}
    units = {
        "kspace": "maximum of the zero-filled RSS image",
        "target": "maximum of the zero-filled RSS image",
    }
    # Of the volume, in the units of the target: what fastMRI's SSIM and PSNR refer to.
    # Rounding apart, no slice has more than its volume.
    volume_maximum = read_header(row["path"]).maximum or 0.0
    maximum = max(volume_maximum / found.scale, float(found.target.max()))
    attributes = identity | {
        "scale": found.scale,
        "acceleration": found.acceleration,
        "maximum": maximum,
    }
    write_groups(outputs["measurement"], {"": Group(arrays, attributes, units)})


if "snakemake" in globals():
    run(snakemake, main)
