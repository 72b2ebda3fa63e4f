"""One slice of raw multi-coil data, undersampled and scaled, with its coil maps and its reference."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.calibration import calibrated, with_truth
    from mrilib.data.catalogue import read_catalogue
    from mrilib.data.measurement_files import write_measurement
    from mrilib.data.sampling.base import name_seed, sampling_from
    from mrilib.data.scans import ScanRecord, about_row, measured_scan

    slices, identity = read_catalogue(inputs["slices"]), params["identity"]
    position = identity["position"]
    if position >= len(slices):
        print(f"no slice: the set has {len(slices)}")
        write_measurement(outputs["measurement"], None, **identity)
        return
    row = slices.iloc[position].to_dict()
    record = ScanRecord.of_row(row)
    found = measured_scan(
        record,
        sampling_from(params["sampling"]),
        name_seed(f"{row['volume']}.h5"),
        about=about_row(row),
    )
    print(
        f"{row['volume']}, slice {row['slice']}: acceleration {found.acceleration:.3f}, "
        f"scale {found.scale:g}, coils and size {tuple(found.kspace.shape)}"
    )
    write_measurement(outputs["measurement"], with_truth(calibrated(found), record.read()), **identity)


if "snakemake" in globals():
    run(snakemake, main)
