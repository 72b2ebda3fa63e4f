"""Snakemake's records of how results were made, made anew from receipts where they were lost."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakemake.logging import logger
from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.settings.enums import PersistenceBackend

from workflow_scripts.receipts import (
    Receipt,
    file_of,
    folder,
    name_of,
    path_of,
    read_receipt,
    replace_text,
)

STATE = Path(".snakemake")
RECORDS, INCOMPLETE = STATE / "metadata", STATE / "incomplete"
# Stands for the params of a result of which neither a record nor a receipt is left: no params are like it.
UNKNOWN = "made by unknown code: neither a record nor a receipt that fits is left"
# In a run's folder, what is no output of a rule.
NO_OUTPUTS = {"benchmarks", "code", "logs", "receipts", "units"}
# What the summary writes beside the outputs of rules.
COSTS = ("tables/costs.csv", "tables/costs.md")


def restore_metadata(workflow: Any, run: str | Path) -> None:
    """Give Snakemake the records of a run's results that it has lost, and tell the user.

    To be called while the Snakefile is read, after all rules: Snakemake's own triggers then decide what runs
    again. Does nothing in the processes of jobs. A result of a rule with a code hash of which neither a
    record nor a receipt that fits is left gets a record that no job agrees with, so that it is made again.
    Results that were copied get the times back that they had: the order of copying means nothing.

    A receipt that was not there last time, or is new since, counts more than a record: the run's folder may
    have been replaced by a copy of another, or another checkout may share it.

    Costs three listings of folders where nothing was lost.

    Args:
        workflow: Snakemake's.
        run: folder of the run, `results/{run}`.
    """
    run = Path(run)
    # Records in a database instead of files are an option that nobody needs here.
    files = workflow.workflow_settings.persistence_backend == PersistenceBackend.FILE
    if not (workflow.is_main_process and files and run.is_dir()):
        return
    # In this order, for a job that ends meanwhile leaves the second after it is in the first.
    incomplete = set(_names(INCOMPLETE))
    records = set(_names(RECORDS))
    receipts = _times(folder(run))
    known = _read_known(run)
    # Of an incomplete output Snakemake knows enough: it is being made, or is made again.
    lost = receipts.keys() - records - incomplete
    bare = {name_of(path) for path in _outputs(run)} - records - incomplete - receipts.keys()
    renewed = {name for name in receipts.keys() & records - incomplete if receipts[name] != known.get(name)}
    restored = {name for name in lost if _restored(run, name)}
    replaced = sum(_replaced(run, name) for name in renewed)
    unknown = [name for name in bare | lost - restored if _is_ours(workflow, run, path_of(name))]
    for name in unknown:
        _write_record(name, MetadataRecord(params=[UNKNOWN], record_format_version=RECORD_FORMAT_VERSION))
    if receipts != known:
        replace_text(_known_file(run), json.dumps(receipts))
    _tell(run, len(restored), replaced, len(unknown))


def _tell(run: Path, restored: int, replaced: int, unknown: int) -> None:
    if restored or unknown:
        logger.warning(
            f"{run}: Snakemake's records of {restored + unknown} results were lost. Of these {restored} were "
            f"restored from {folder(run)}; for {unknown} there is no receipt that fits: the code that made "
            "them is unknown, and they are made again."
        )
    if replaced:
        logger.warning(
            f"{run}: {replaced} results were made elsewhere than Snakemake's records of them say; the "
            f"records were renewed from {folder(run)}."
        )


def _receipt_of_result(run: Path, name: str) -> Receipt | None:
    """The receipt of this name, if its result is there."""
    return read_receipt(run, name) if os.path.isfile(path_of(name)) else None


def _replaced(run: Path, name: str) -> bool:
    """Let a receipt count that says otherwise than the record; a copied result gets its time back anyhow.

    Returns:
        Whether they differed.
    """
    receipt = _receipt_of_result(run, name)
    if receipt is None:
        return False
    try:
        record = json.loads(_record_file(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = {}
    same = (record.get("params"), record.get("input")) == (receipt.params, receipt.input)
    if same and os.stat(receipt.output).st_ino == receipt.inode:
        return False
    return _restored(run, name) and not same


def _restored(run: Path, name: str) -> bool:
    """Write a result's record from its receipt, and give a copy its time back; not if they do not fit."""
    receipt = _receipt_of_result(run, name)
    if receipt is None or not receipt.fits(receipt.output):
        return False
    if os.stat(receipt.output).st_ino != receipt.inode:
        # Another user's file stays as it is.
        with contextlib.suppress(PermissionError):
            os.utime(receipt.output, ns=(receipt.made, receipt.made))
    made = receipt.made / 1e9
    record = MetadataRecord(
        rule=receipt.rule,
        input=receipt.input,
        log=receipt.log,
        params=receipt.params,
        record_format_version=RECORD_FORMAT_VERSION,
        starttime=made,
        endtime=made,
        incomplete=False,
        input_checksums=receipt.checksums,
    )
    _write_record(name, record)
    return True


def _write_record(name: str, record: MetadataRecord) -> None:
    # Snakemake takes the first for an old version's folder if the second is not there.
    INCOMPLETE.mkdir(parents=True, exist_ok=True)
    RECORDS.mkdir(parents=True, exist_ok=True)
    replace_text(_record_file(name), json.dumps(dict(record.items())))


def _record_file(name: str) -> Path:
    return file_of(RECORDS, name, os.pathconf(RECORDS, "PC_NAME_MAX") - 1)


def _is_ours(workflow: Any, run: Path, path: str) -> bool:
    """Whether a file of the run is the output of a rule with a code hash.

    Others are left alone: nobody wants to download again for lack of a record.
    """
    return (
        Path(path).is_relative_to(run)
        and os.path.isfile(path)
        and any(
            "code" in dict(rule.params.items()) and any(output.match(path) for output in rule.output)
            for rule in workflow.rules
        )
    )


def _outputs(run: Path) -> Iterator[str]:
    """Files of the run's folder that may be outputs."""
    written = {str(run / name) for name in COSTS}
    places = [entry.path for entry in os.scandir(run) if entry.is_dir() and entry.name not in NO_OUTPUTS]
    while places:
        with os.scandir(places.pop()) as listed:
            for entry in listed:
                if entry.is_dir():
                    places.append(entry.path)
                elif not entry.name.startswith(".") and entry.path not in written:
                    yield entry.path


def entries(place: Path, start: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Receipts, or records, in a folder: each name and its file."""
    with contextlib.suppress(FileNotFoundError), os.scandir(place) as listed:
        for entry in listed:
            if entry.name.startswith("@"):
                yield from entries(place / entry.name, start + entry.name[1:])
            elif not entry.name.startswith("."):
                yield start + entry.name, entry


def _names(place: Path) -> Iterator[str]:
    return (name for name, _ in entries(place))


def _times(place: Path) -> dict[str, int]:
    """When each receipt was written."""
    found = {}
    for name, entry in entries(place):
        with contextlib.suppress(FileNotFoundError):  # renewed just now
            found[name] = entry.stat().st_mtime_ns
    return found


def _known_file(run: Path) -> Path:
    return STATE / "receipts" / f"{run.name}.json"


def _read_known(run: Path) -> dict[str, int]:
    """The receipts that were there when this was last called here, and when each was written."""
    try:
        return json.loads(_known_file(run).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
