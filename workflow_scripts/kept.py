"""What jobs leave in the run's folder beside their results: what their code was, which units they used."""

import json
from pathlib import Path
from typing import Any

from mrilib.store.atomic import write_text
from workflow_scripts.provenance import stage_modules


def run_folder(path: str | Path) -> Path:
    """The folder `results/{run}` that a job's log or output lies in."""
    return Path(*Path(path).parts[:2])


def code_record(run: Path, code: str) -> Path:
    """File that says what the code hash of a stage was made of."""
    return run / "code" / f"{code}.json"


def keep_code(run: Path, params: dict[str, Any]) -> None:
    """Write what a job's code hash was made of, for `why` to compare with later."""
    record, stage = code_record(run, params["code"]), params["stage"]
    if not record.exists():
        modules = stage_modules(stage["script"], stage["rule"], tuple(stage["roots"]))
        write_text(record, json.dumps(modules, indent=1) + "\n")


def unit_index(run: Path, log: Path) -> Path:
    """File that lists the units of the job with this log."""
    return run / "units" / "index" / log.relative_to(run / "logs").with_suffix(".txt")


def accepted_codes(units: str | Path) -> Path:
    """File that says as what code hashes were accepted, by `accept`."""
    return Path(units) / "accepted.json"


def read_accepted(units: str | Path) -> dict[str, str]:
    """Code hashes of a run to the ones that the keys of its units hold instead."""
    file = accepted_codes(units)
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def as_accepted(params: dict[str, Any]) -> dict[str, Any]:
    """The code hashes of a job's params, as the keys of its units hold them."""
    accepted = read_accepted(params["units"])
    found = {"code": accepted.get(params["code"], params["code"])}
    if "codes" in params:
        found["codes"] = {name: accepted.get(each, each) for name, each in params["codes"].items()}
    return found
