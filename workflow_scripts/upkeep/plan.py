"""The workflow as Snakemake would run it now, for commands that look at it and run nothing."""

import argparse
import ast
import contextlib
import json
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from snakemake.api import SnakemakeApi
from snakemake.exceptions import RuleException, WorkflowError
from snakemake.persistence import NO_PARAMS_CHANGE
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

from workflow_scripts.kept import code_record
from workflow_scripts.provenance import ROOT, stage_modules
from workflow_scripts.restore import UNKNOWN

PROFILE = ROOT / "profiles/default/config.v9+.yaml"


@dataclass(frozen=True)
class Change:
    """How the params of a job differ from those of its last run.

    Args:
        codes: code hashes, the last run's to the present ones.
        others: names of the other params that differ.
        unknown: whether nothing is left that says how the last run was.
    """

    codes: dict[str, str]
    others: list[str]
    unknown: bool = False

    @property
    def only_codes(self) -> bool:
        return bool(self.codes) and not self.others and not self.unknown


class Plan:
    """The jobs of a run.

    Args:
        workflow: Snakemake's, parsed.
    """

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        self.run = Path(workflow.globals["RUN"])

    def build(self, *, ignore_codes: bool = False) -> None:
        """Find the jobs and which of them would run; as if no code had changed if `ignore_codes`."""
        # The same steps as in Snakemake's own --summary.
        self._workflow._prepare_dag(forceall=False, ignore_incomplete=False, lock_warn_only=True)
        self.persistence = self._workflow.persistence
        self._params_changed = self.persistence.params_changed
        if ignore_codes:
            self.persistence.params_changed = lambda job: (
                NO_PARAMS_CHANGE if self.change(job).only_codes else self._params_changed(job)
            )
        self._workflow._build_dag()
        self.dag = self._workflow.dag

    @property
    def jobs(self) -> list[Any]:
        """All jobs that write something, in the order of the rules."""
        order = {rule.name: index for index, rule in enumerate(self._workflow.rules)}
        writing = [job for job in self.dag.jobs if job.output]
        return sorted(writing, key=lambda job: (order[job.rule.name], str(job.output[0])))

    def would_run(self, job: Any) -> bool:
        return self.dag.needrun(job)

    def change(self, job: Any) -> Change:
        """Snakemake remembers the values of params without their names: hashes are known by their looks."""
        found = self._params_changed(job)
        if UNKNOWN in found.only_old:
            return Change({}, [], unknown=True)
        present = dict(job.params.items())
        codes: dict[str, str] = {}
        gone = []
        for text in found.only_old:
            if re.fullmatch("'[0-9a-f]{16}'", text):
                codes[ast.literal_eval(text)] = present["code"]
            elif re.fullmatch(r"\{('[^']*': '[0-9a-f]{16}'(, )?)+\}", text):
                former, now = ast.literal_eval(text), present.get("codes", {})
                if former.keys() == now.keys():
                    codes |= {former[name]: now[name] for name in now if former[name] != now[name]}
            else:
                gone.append(text)
        others = [
            name
            for name, value in present.items()
            if repr(value) in found.only_new and name not in ("code", "codes")
        ]
        return Change(codes, others or (["(one is gone)"] if gone else []))

    def modules_changed(self, job: Any, former: str) -> list[str] | None:
        """What of a job's code is not as in the hash of an earlier run; `None` if that was not recorded."""
        record = code_record(self.run, former)
        if not record.exists():
            return None
        stage = job.params.stage
        before = json.loads(record.read_text(encoding="utf-8"))
        now = stage_modules(stage["script"], stage["rule"], tuple(stage["roots"]))
        changed = [
            # Hashes say nothing to a reader, versions do.
            name if len(now[name]) >= 64 else f"{name} {before[name]} → {now[name]}"
            for name in now
            if name in before and now[name] != before[name]
        ]
        new = [f"{name} (new)" for name in now if name not in before]
        return changed + new + [f"{name} (no longer used)" for name in before if name not in now]

    def reasons(self, job: Any) -> list[str]:
        """Why a job would run, each reason in words."""
        reason = self.dag.reason(job)
        if any(not Path(file).exists() for file in job.output):
            return ["missing output"]
        if reason.forced:
            return ["incomplete output"]
        found = []
        if reason.updated_input:
            found.append(f"newer input: {_listed(sorted(map(str, reason.updated_input)))}")
        if any(self.persistence.input_changed(job)):
            found.append("other input files")
        if any(self.persistence.software_stack_changed(job)):
            found.append("software environment changed")
        change = self.change(job)
        if change.unknown:
            found.append("made by unknown code")
        if change.others:
            found.append(f"params changed: {_listed(change.others)}")
        code = job.params.get("code")
        for former in [old for old, new in change.codes.items() if new == code]:
            modules = self.modules_changed(job, former)
            # None at all: other modules are reached, because the params name others.
            if modules != []:
                words = "which modules, is not recorded" if modules is None else _listed(modules)
                found.append(f"code changed: {words}")
        above = {other.rule.name for other in self.dag.dependencies[job] if self.would_run(other)}
        return found or [f"input comes anew from: {', '.join(sorted(above))}"]


def described(plan: Plan, jobs: Sequence[Any]) -> list[str]:
    """One line for all jobs of a rule that would run for the same reasons."""
    groups: dict[tuple[str, ...], list[Any]] = {}
    for job in jobs:
        groups.setdefault((job.rule.name, *plan.reasons(job)), []).append(job)
    lines = []
    for (rule, *reasons), same in groups.items():
        methods = list(dict.fromkeys(filter(None, (job.wildcards.get("method") for job in same))))
        name = f"{rule} ({_listed(methods)})" if methods else rule
        lines.append(f"{name}: {counted(len(same), 'job')}; {'; '.join(reasons)}")
    return lines


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])


def arguments(description: str | None, *, targets: bool = False) -> argparse.ArgumentParser:
    """Parser of the options that such commands share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--configfile", type=Path, help="config of the run; config.yaml by default")
    if targets:
        parser.add_argument("targets", nargs="*", help="files or rules; by default all the config asks for")
    return parser


@contextlib.contextmanager
def opened(configfile: Path | None, targets: Sequence[str] = ()) -> Iterator[Plan]:
    """The workflow with its config, not yet built; what is wrong with it ends the program."""
    if configfile and not configfile.is_file():
        sys.exit(f"{configfile}: no such file")
    profile = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    with SnakemakeApi(OutputSettings(log_level_override=logging.WARNING, enable_file_logging=False)) as api:
        try:
            parsed = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=[configfile.resolve()] if configfile else []),
                snakefile=ROOT / "Snakefile",
            )
            parsed.dag(
                DAGSettings(
                    targets=frozenset(targets),
                    rerun_triggers=RerunTrigger.parse_choices_set(profile["rerun-triggers"]),
                    force_incomplete=profile["rerun-incomplete"],
                )
            )
            yield Plan(parsed._workflow)
        except (WorkflowError, RuleException) as error:
            api.print_exception(error)
            sys.exit(1)
