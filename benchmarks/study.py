"""What a study costs: trainings, reconstructions, attacks, small features, in GPU- and core-hours by method.

`python -m benchmarks study [CONFIG]`, by default config.paper.multicoil.yaml. Nothing is attacked: what the
config asks for is counted, and taken times the seconds of a step at 15 coils × 640×368. Hours are estimates:

- networks on a GPU: counted operations at `SUSTAINED`, and no step below `LAUNCHES`, for which hundreds of
  small kernels wait; a step of training is `TRAINED` times a gradient by the image;
- decoders on a GPU: operations and bytes as `python -m benchmarks untrained` counts them;
- all else on a core: the seconds that `python -m benchmarks multicoil --parts attack-scale` measured.

Searches that are repeated because a rival is stronger are not in it: each costs up to twice the first again.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.multicoil_attack_scale import DECODERS, gradient_tflop
from benchmarks.problems import RESULTS, save
from benchmarks.untrained import STEPS, cost
from mrilib.attacks.kinds.base import AttackKind
from mrilib.attacks.kinds.localized import Localized
from mrilib.attacks.searches.base import Search
from mrilib.attacks.searches.joint import JointDescent
from mrilib.attacks.searches.unrolled_ascent import UnrolledAscent
from mrilib.features.kinds.base import FeatureKind
from mrilib.reconstructors.base import Reconstructor
from mrilib.store.classes import load_class
from workflow_scripts.config.attacks import Attack
from workflow_scripts.config.config import Config, load
from workflow_scripts.config.costs import JUDGED, steps_of_rounds
from workflow_scripts.config.domains import Application

# TFLOP a second that an H100 or A100 is assumed to reach in float32, and seconds that no step goes below.
SUSTAINED, LAUNCHES = 10.0, 0.03
# The gradient by the weights costs as much as that by the image, the forward pass half of either's pair.
TRAINED = 1.5
# Seconds of a gradient through the last steps, by the estimate for 100 of them and what is before them;
# reconstructions that judge a value which is tried.
UNROLLED, TRIED = float(UnrolledAscent.seconds_on_coils or 0.0) / 100, 2
# MB of a perturbation, a quarter of whose columns are sampled, and of a magnitude image, compressed.
STORED_MB = 15 * 640 * 368 * 8 / 4e6 + 640 * 368 * 4 / 1e6


# Rows of the benchmark of steps, by the config's names of methods and by route.
Measured = Mapping[tuple[str, str], Mapping[str, Any]]


class Step(NamedTuple):
    """Seconds of a step of the search and of a reconstruction, and what does them."""

    search: float
    reconstruction: float
    device: str


def step_of(config: Config, method: str, search: str | None, measured: Measured) -> Step:
    """Seconds at 15 coils × 640×368."""
    found = config.methods[method]
    network = found.arguments.get("network", {})
    if found.training is not None:
        return _network(network["class"], json.dumps(network.get("arguments", {})))
    name = network.get("class", "").partition(":")[2]
    if name in DECODERS.values():
        label = f"seconds of {STEPS} steps on an H100 (estimate)"
        fit = float(cost(name)[label])
        unrolled = search is not None and issubclass(load_class(search, Search), UnrolledAscent)
        return Step(UNROLLED if unrolled else fit / STEPS, fit, "GPU")
    routes = {route: row for (of, route), row in measured.items() if of == method}
    joint = search is not None and issubclass(load_class(search, Search), JointDescent)
    if search is not None and issubclass(load_class(search, Search), UnrolledAscent):
        return Step(UNROLLED, float(routes["coupled"]["clean (s)"]), "core")
    row = routes["two-step" if joint else "coupled" if "coupled" in routes else "gradient"]
    return Step(float(row["s a step"]), float(row["clean (s)"]), "core")


@cache
def _network(path: str, arguments: str) -> Step:
    tflop = gradient_tflop(load_class(path, object)(**json.loads(arguments)).eval().requires_grad_(False))
    return Step(max(LAUNCHES, tflop / SUSTAINED), max(LAUNCHES / 2, tflop / 2 / SUSTAINED), "GPU")


def steps_of(config: Config, attack: Attack, method: str, search: str | None) -> int:
    """Steps of the search of an attack at one level, all candidates and all that it varies together."""
    if search is None:
        return 0
    kinds = [load_class(attack.path, AttackKind)(**each.arguments) for each in attack.variants]
    return sum(_steps(config, attack, kind, method, search) for kind in kinds)


def _steps(config: Config, attack: Attack, kind: AttackKind, method: str, search: str) -> int:
    if not isinstance(kind, Localized):
        each = load_class(search, Search).steps_a_gradient
        return int(kind.steps * kind.restarts * each)  # type: ignore[attr-defined]
    own = attack.search_arguments or ({} if attack.search else config.methods[method].search_arguments)
    rounds = load_class(search, Search)(**own).rounds
    return kind.restarts * steps_of_rounds([(each.steps, each.keep) for each in rounds], kind.grid**2)


def counted(config: Config, applied: Application, measured: Measured) -> Iterator[dict[str, Any]]:
    """What each attack on a method at a place comes to."""
    where = (applied.method, applied.source, applied.mask)
    for name in config.attacks_of(*where):
        attack = config.attacks[name]
        search = config.search_of(applied.method, name, applied.source)
        units = len(config.levels_of(name)) * (attack.images or config.count(applied.source))
        rivals = [other for other in config.rivals_of(*where) if name in config.searched(other, *where[1:])]
        carried = units * len(rivals) if search else 0
        step = step_of(config, applied.method, search, measured)
        judged = units * len(attack.variants) * (JUDGED if search else 1)
        steps = units * steps_of(config, attack, applied.method, search)
        if attack.tune is not None:
            tried = attack.tune.images * len(attack.tune.grid.values)
            steps += tried * steps_of(config, attack, applied.method, search)
            judged += tried * TRIED
        yield {
            "method": config.methods[applied.method].replica_of or applied.method,
            "attack": name,
            "device": step.device,
            "attacked": units,
            "steps": steps,
            "judged": judged,
            "carried": carried,
            "search (h)": steps * step.search / 3600,
            "judging (h)": judged * step.reconstruction / 3600,
            "transfer (h)": carried * step.reconstruction / 3600,
        }


def reconstructed(config: Config, measured: Measured) -> Iterator[dict[str, Any]]:
    """What clean reconstructions come to, those under shifts as well."""
    for each in config.applications:
        step = step_of(config, each.method, None, measured)
        count = config.count(each.source)
        yield {
            "method": config.methods[each.method].replica_of or each.method,
            "device": step.device,
            "of": "shifts" if each in config.shifted else "usual domains",
            "images": count,
            "reconstructions (h)": count * step.reconstruction / 3600,
        }


def trained(config: Config, measured: Measured) -> Iterator[dict[str, Any]]:
    """What trainings come to: every image of every epoch once."""
    for method, domain in config.trainings:
        found, source = config.methods[method], config.images[config.domain(domain).source]
        images = source.train.count  # type: ignore[union-attr]
        steps = images * found.training.epochs  # type: ignore[union-attr]
        seconds = TRAINED * step_of(config, method, None, measured).search
        yield {
            "method": found.replica_of or method,
            "device": "GPU",
            "trainings": 1,
            "steps": steps,
            "training (h)": steps * seconds / 3600,
        }


def studied(config: Config, measured: Measured) -> Iterator[dict[str, Any]]:
    """What studies of small features come to, in reconstructions."""
    for each in config.usual:
        step = step_of(config, each.method, None, measured)
        kind = load_class(config.methods[each.method].reconstructor, Reconstructor)
        for name in config.features_of(each.method, each.source, each.mask):
            feature = config.features[name]
            study = load_class(feature.path, FeatureKind)(**feature.arguments)
            images = feature.images or config.count(each.source)
            # Linear methods of lines of coils have every location exactly.
            times = study.count(searched=kind.search is not None, exact=kind.response is not None)
            yield {
                "method": config.methods[each.method].replica_of or each.method,
                "study": name,
                "device": step.device,
                "images": images,
                "reconstructions": images * times,
                "features (h)": images * times * step.reconstruction / 3600,
            }


def summed(rows: list[dict[str, Any]], by: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows that agree in some columns as one, their numbers added."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        total = found.setdefault(tuple(row[name] for name in by), {name: row[name] for name in by})
        for name, value in row.items():
            if isinstance(value, int | float):
                total[name] = total.get(name, 0) + value
    return list(found.values())


def measured_steps() -> Measured:
    """What the benchmark of steps left."""
    path = RESULTS / "multicoil-attack-scale.json"
    if not path.is_file():
        raise SystemExit(f"study: no {path}; run python -m benchmarks multicoil --parts attack-scale")
    names = {"TV isotropic": "tv", "ℓ1 wavelet db4": "l1-wavelet", "ℓ1 DCT": "l1-dct"}
    names |= {"ℓ1 Fourier": "l1-fourier", "Tikhonov": "tikhonov", "zero-filled": "zero-filled"}
    rows = json.loads(path.read_text())["rows"]
    return {(names.get(row["method"], row["method"]), row["route"]): row for row in rows}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks study", description=__doc__)
    parser.add_argument("config", nargs="?", type=Path, default=Path("config.paper.multicoil.yaml"))
    config = load(yaml.safe_load(parser.parse_args(arguments).config.read_text()), classes=False)
    measured = measured_steps()
    rows = [row for applied in config.usual for row in counted(config, applied, measured)]
    save("study", summed(rows, ("method", "device")))
    save("study-reconstructions", summed(list(reconstructed(config, measured)), ("method", "device", "of")))
    save("study-trainings", summed(list(trained(config, measured)), ("method", "device")))
    features = list(studied(config, measured))
    save("study-features", summed(features, ("method", "device")))
    save("study-features-by-study", summed(features, ("study", "device")))
    save("study-attacks", summed(rows, ("attack", "device")))
    jobs = sum(config.attacked_count(each.method, each.source, each.mask) for each in config.usual)
    stored = sum(row["attacked"] + row["carried"] for row in rows) * STORED_MB / 1e3
    totals = dict.fromkeys(("GPU", "core"), 0.0)
    for row in rows:
        totals[row["device"]] += sum(row[f"{stage} (h)"] for stage in ("search", "judging", "transfer"))
    print(f"{jobs} attack jobs; {stored:.0f} GB of perturbations; {totals}")
