"""The catalogue of a dataset: every volume is checked, a unit each."""

import json

from workflow_scripts.job import run

# The catalogue depends on the receipts of the volumes alone.
AGAIN = "put it back and run again with --forcerun list_volumes, or leave it out"


def said(entry):
    """One line on a volume."""
    if not entry.accepted:
        return f"{entry.volume}: rejected: {entry.reason}"
    return f"{entry.volume}: {entry.slices} slices" + (f"; {entry.notes}" if entry.notes else "")


def stop_if(strict, entry):
    """End the run at a volume that cannot be used."""
    if strict and not entry.accepted:
        raise ValueError(f"{entry.volume}: {entry.reason} (strict: true)")


def main(inputs, outputs, params):
    from dataclasses import asdict
    from pathlib import Path

    from tqdm import tqdm

    from mrilib.data.catalogue import Entry, rejected, to_frame, without_copies
    from mrilib.data.coil_compression import CoilCompression
    from mrilib.data.file_presence import found_instead
    from mrilib.data.volumes.inspection import inspect_volume
    from mrilib.data.volumes.isolated import Worker
    from mrilib.store.arrays import Group
    from mrilib.store.atomic import write_text
    from mrilib.store.units import UnitStore

    about = {"dataset": params["dataset"], "anatomy": params["anatomy"]}
    compression = params["coil_compression"] and CoilCompression(**params["coil_compression"])
    store, entries = UnitStore(params["units"], params["index"]), []
    receipts = []
    for path in inputs["receipts"]:
        found = json.loads(Path(path).read_text())
        receipts += found if isinstance(found, list) else [found]
    with Worker() as worker:
        for receipt in tqdm(receipts, desc="volumes", disable=None):
            volume, path, reason = receipt["volume"], receipt.get("path"), receipt.get("rejected")
            # It may have gone since the receipt was written.
            if path is not None and (instead := found_instead(path)):
                reason = f"{path}: expected the file of the volume, got {instead}; {AGAIN}"
            if reason is not None:
                entries += rejected(volume=volume, reason=reason, **about)
            else:
                # The time and size of a file stand for its content: reading it is the cost.
                state = Path(path).resolve().stat()
                key = about | {"path": path, "size": state.st_size, "time": state.st_mtime_ns}
                key |= {"coil_compression": params["coil_compression"]}

                def inspected(path=path):
                    found = inspect_volume(path, worker=worker, compression=compression, **about)
                    return Group(attributes={"entries": json.dumps([asdict(entry) for entry in found])})

                unit = store.get(key | {"code": params["code"]}, inspected)
                entries += [Entry(**row) for row in json.loads(unit.attributes["entries"])]
            print(said(entries[-1]), flush=True)
            stop_if(params["strict"], entries[-1])
    entries, before = without_copies(entries), entries
    for entry in entries:
        if entry not in before:
            print(said(entry), flush=True)
            stop_if(params["strict"], entry)
    write_text(outputs["catalogue"], to_frame(entries).to_csv(index=False))
    store.finish()


if "snakemake" in globals():
    run(snakemake, main)
