"""One slice of raw multi-coil data, undersampled and scaled, with its coil maps and its reference."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import torch

    from mrilib.data.calibration import calibrated
    from mrilib.data.catalogue import read_catalogue, target_shape
    from mrilib.data.measurement import measure
    from mrilib.data.measurement_files import write_measurement
    from mrilib.data.sampling.base import name_seed, sampling_from
    from mrilib.data.volumes.fastmri import read_slice, volume_maximum

    slices, identity, sampling = read_catalogue(inputs["slices"]), params["identity"], params["sampling"]
    position = identity["position"]
    if position >= len(slices):
        print(f"no slice: the set has {len(slices)}")
        write_measurement(outputs["measurement"], None, **identity)
        return
    row = slices.iloc[position]
    scan = read_slice(row["path"], int(row["slice"]))
    drawing = sampling_from(sampling)
    mask = drawing.draw((int(row["rows"]), int(row["columns"])), name_seed(f"{row['volume']}.h5"))
    sides = (int(row[name]) for name in ("rows", "columns", "target_rows", "target_columns"))
    names = ("dataset", "volume", "slice", "anatomy", "acquisition", "patient", "simulated", "hash")
    found = measure(
        torch.from_numpy(scan.kspace),
        mask,
        reference_shape=target_shape(*sides),
        volume_maximum=volume_maximum(row["path"]),
        # Plain values: pandas gives NumPy's.
        about={name: getattr(row[name], "item", lambda name=name: row[name])() for name in names},
    )
    print(
        f"{row['volume']}, slice {row['slice']}: acceleration {found.acceleration:.3f}, "
        f"scale {found.scale:g}, coils and size {tuple(found.kspace.shape)}"
    )
    write_measurement(outputs["measurement"], calibrated(found), **identity)


if "snakemake" in globals():
    run(snakemake, main)
