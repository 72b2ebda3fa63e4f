"""What the workflow costs beside the work: imports of each job, planning, and results on the disk.

A job is a Python process that imports what it needs before it works; the median of three starts is shown, the
interpreter's own start among it, and which heavy packages came along. Planning is a dry run in which all
jobs are to run.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.clock import median_seconds
from benchmarks.problems import save

RUNS = 3
CONFIGS = ("config.yaml", "config.paper.yaml")
DEMO = Path("results/demo")
HEAVY = ("torch", "pandas", "matplotlib", "snakemake")


def job_scripts() -> list[str]:
    """Modules of `workflow_scripts` that a rule starts."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path("rules").glob("*.smk"))]
    return sorted({name for text in texts for name in re.findall(r"workflow_scripts/stages/(\w+)\.py", text)})


def import_lines(script: str) -> str:
    """All imports of a script as source: its own, and those of its functions, which run when the job does."""
    tree = ast.parse(Path(f"workflow_scripts/stages/{script}.py").read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(ast.unparse(node) for node in found)


def imports(script: str) -> dict[str, Any]:
    """Time of a new process that imports what a job does, and the heavy packages that this brings."""
    lines = import_lines(script)

    def work() -> None:
        subprocess.run([sys.executable, "-c", lines], check=True)

    show = f"{lines}\nimport json, sys; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    found = subprocess.run([sys.executable, "-c", show], check=True, capture_output=True, text=True)
    taken = median_seconds(work, RUNS, warm=True)
    return {
        "what": f"imports of workflow_scripts/stages/{script}.py",
        "seconds": taken.processor,
        "wall seconds": taken.wall,
        "brings": " ".join(json.loads(found.stdout)),
    }


def planning(config: str) -> dict[str, Any]:
    """From the command to the first job: a dry run in which all jobs are to run."""
    jobs = 0

    def work() -> None:
        nonlocal jobs
        done = subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "1"),
                *("--nolock", "--forceall", "--configfile", config),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        total = re.search(r"^total\s+(\d+)", done.stdout, re.MULTILINE)
        jobs = int(total[1]) if total else 0

    taken = median_seconds(work, RUNS)
    return {
        "what": f"planning {config}, {jobs} jobs",
        "seconds": taken.processor,
        "wall seconds": taken.wall,
        "brings": "",
    }


def sizes(folder: Path) -> list[dict[str, Any]]:
    """Megabytes and number of files below `folder`, by their endings."""
    count: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            count[path.suffix] += 1
            total[path.suffix] += path.stat().st_size
    return [
        {"kind": kind or "no ending", "files": count[kind], "MB": size / 1e6}
        for kind, size in total.most_common()
    ]


def main(arguments: list[str]) -> None:
    argparse.ArgumentParser(prog="python -m benchmarks startup", description=__doc__).parse_args(arguments)
    rows = [imports(script) for script in job_scripts()]
    rows += [planning(config) for config in CONFIGS]
    save("startup", rows)
    if DEMO.is_dir() and (found := sizes(DEMO)):
        save("startup-disk", found)
