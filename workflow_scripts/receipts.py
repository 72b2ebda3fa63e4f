"""Receipts: what Snakemake knows of a job, kept with the results, where it outlives Snakemake's own records.

Snakemake records in `.snakemake/metadata` how each output was made. Without that record (results were copied,
`.snakemake` was removed) it compares times alone, and would keep results of other code. So every job leaves a
receipt for each of its outputs in `results/{run}/receipts`, named as Snakemake names its records; `restore`
makes records of receipts.
"""

import hashlib
import json
import os
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Snakemake compares the content of no larger input, in bytes.
LARGEST_COMPARED = 1_000_000
# The longest part of a name in base64: file systems take 255 bytes, some of them 143.
LONGEST_PART = 140
# Types whose values Snakemake compares between runs, as text.
COMPARED = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    list,
    tuple,
    dict,
    set,
    frozenset,
    range,
    type(None),
)


@dataclass(frozen=True)
class Receipt:
    """How an output was made, and what it was then.

    Args:
        output: its path.
        rule: name of the rule.
        code: code hash of the stage.
        params: values of all params as text, sorted, as Snakemake records them. Params that are functions of
            input, output, threads or resources would not belong to them; no rule has such.
        input: paths, sorted.
        log: paths, sorted.
        checksums: of those inputs that Snakemake compares by content.
        digest: SHA-256 of the output, as `sha256:` and hex digits.
        size: of the output, in bytes.
        inode: of the output. Outputs are moved into place, so a file with another content has another one.
        made: when the output was last changed, in nanoseconds since 1970.
    """

    output: str
    rule: str
    code: str
    params: list[str]
    input: list[str]
    log: list[str]
    checksums: dict[str, str]
    digest: str
    size: int
    inode: int
    made: int

    def fits(self, path: str | Path) -> bool:
        """Whether a file is what the receipt was written for: the same file, or one with its content."""
        found = os.stat(path)
        return found.st_size == self.size and (found.st_ino == self.inode or digest(path) == self.digest)


def folder(run: Path) -> Path:
    """Where the receipts of a run lie."""
    return run / "receipts"


def name_of(path: str | Path) -> str:
    """Name of a path's receipt, and of its record in Snakemake, before it is split."""
    return urlsafe_b64encode(str(path).encode()).decode()


def path_of(name: str) -> str:
    """The path that a receipt of this name is for."""
    return urlsafe_b64decode(name.encode()).decode()


def file_of(place: Path, name: str, longest: int = LONGEST_PART) -> Path:
    """File in a folder; a long name is split into folders that begin with `@`, as Snakemake does."""
    parts = [name[start : start + longest] for start in range(0, len(name), longest)]
    return place.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def write_receipts(run: Path, job: Any) -> None:
    """Write a receipt of each output of a job that has just ended well.

    Args:
        run: folder of the run.
        job: what Snakemake gives a script.
    """
    params = sorted(repr(value) for value in job.params if isinstance(value, COMPARED))
    inputs, logs = sorted(map(str, job.input)), sorted(map(str, job.log))
    checksums = {path: digest(path) for path in inputs if _is_compared(path)}
    for output in map(str, job.output):
        if not os.path.isfile(output):
            continue  # Snakemake will say that it is missing
        found = os.stat(output)
        write_receipt(
            run,
            Receipt(
                output=output,
                rule=job.rule,
                code=job.params["code"],
                params=params,
                input=inputs,
                log=logs,
                checksums=checksums,
                digest=digest(output),
                size=found.st_size,
                inode=found.st_ino,
                made=found.st_mtime_ns,
            ),
        )


def write_receipt(run: Path, receipt: Receipt) -> None:
    """Write a receipt, whole or not at all."""
    replace_text(file_of(folder(run), name_of(receipt.output)), json.dumps(asdict(receipt)))


def read_receipt(run: Path, name: str) -> Receipt | None:
    """The receipt of a name; `None` if there is none, or none that can be read, e.g. of another version."""
    try:
        return Receipt(**json.loads(file_of(folder(run), name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def digest(path: str | Path) -> str:
    """SHA-256 of a file, written as Snakemake writes it."""
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def replace_text(path: Path, text: str) -> None:
    """Write a file at one stroke.

    Unlike `mrilib.store.atomic` it does not wait for the disk, since there are thousands: what a crash of the
    machine leaves of one cannot be read, and counts as none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _is_compared(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) <= LARGEST_COMPARED
