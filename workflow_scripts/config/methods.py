"""The configuration of methods: their classes, how they are tuned and trained."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from workflow_scripts.config.entries import known_words, named, spelled_out
from workflow_scripts.config.strict import Count, Label, Name, Names, Strict


class Grid(Strict):
    """Candidates, spaced evenly in the logarithm."""

    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]
    count: Count

    @model_validator(mode="after")
    def _chooses(self) -> "Grid":
        if self.count == 1:
            raise ValueError(
                "count: expected at least 2, got 1; for a value that is known leave tune out, and give it in "
                "parameters"
            )
        if self.low >= self.high:
            raise ValueError(f"low: expected less than high ({self.high:g}), got {self.low:g}; exchange them")
        return self

    @property
    def values(self) -> list[float]:
        ratio = (self.high / self.low) ** (1 / (self.count - 1))
        return [self.low * ratio**index for index in range(self.count)]


class Tune(Strict):
    """A parameter of a method that is chosen on the validation images of every domain.

    `at`: for each noise level apart, under Gaussian noise of that level (P1), or once on clean data (P2).
    """

    parameter: str
    grid: Grid
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    at: Literal["levels", "clean"] = "levels"


class Phase(Strict):
    """A stretch of training with one setting of its optimizer; without `restart` it keeps its moments."""

    epochs: Count
    batch: Count
    learning_rate: Annotated[float, Field(gt=0)]
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    accumulate: Count = 1
    optimizer: Literal["adam", "rmsprop"] = "adam"
    restart: bool = True


class Start(Strict):
    """Another method's network after one of its epochs, counted through all phases from 1."""

    method: Name
    epoch: Count


class Training(Strict):
    """How a method's network is trained, once for each of its domains.

    On phantoms, drawn on the fly: `images` an epoch, `validation` of them, the loss `moduli`, `jitter` on the
    data. On scans: all slices of the set `train`, each with a mask of its own in every epoch, and one of the
    other losses.
    """

    loss: Literal["moduli", "ssim", "l1", "mse"] = "moduli"
    images: Count | None = None
    validation: Count | None = None
    jitter: Annotated[float, Field(ge=0)] = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    start: Start | None = None
    phases: Annotated[list[Phase], Field(min_length=1)]

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    @model_validator(mode="after")
    def _of_one_kind(self) -> "Training":
        if self.loss == "moduli" and (self.images is None or self.validation is None):
            raise ValueError(
                "images: expected the numbers of phantoms, images and validation, for the loss 'moduli'; "
                "for scans choose the loss ssim, l1 or mse"
            )
        if self.loss != "moduli" and (self.images or self.validation or self.jitter):
            raise ValueError(
                "loss: images, validation and jitter are for phantoms, whose loss is 'moduli'; "
                f"got {self.loss!r}"
            )
        return self


class Method(Strict):
    """A reconstruction method: a class, its arguments, and how it is tuned or trained, and attacked.

    `reconstructor` and `search` are short words of ours or import paths; a network or a basis among the
    parameters is `{kind: word, argument: value}` or `{class: package.module:Name, arguments: {...}}`.

    It is applied to all sources under all masks, or to those named. Without `search` it is attacked by the
    search that its class names. `training: {seeds: [0, 1, 2], ...}` makes one method of each seed, which then
    say whose replicas they are.
    """

    reconstructor: Annotated[str, named("method")] = "mrilib.reconstructors.trained:Trained"
    parameters: Annotated[dict[str, Any], AfterValidator(known_words)] = {}
    tune: Tune | None = None
    training: Training | None = None
    search: Annotated[str, named("search")] | None = None
    search_arguments: dict[str, Any] = {}
    masks: Names | None = None
    sources: Names | None = None
    published: Literal["tv", "tira", "tirafl"] | None = None
    label: Label | None = None
    replica_of: Name | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The parameters, with import paths where they name a class by a short word."""
        return spelled_out(self.parameters)


def replicas(methods: Any) -> dict[str, str]:
    """Names of the methods that several training seeds make, each to that of the entry that has the seeds."""
    return {
        f"{name}-{seed}": name
        for name, method in (methods.items() if isinstance(methods, dict) else ())
        for seed in _seeds(method) or ()
    }


def spelled_by_seed(methods: dict[str, Any]) -> dict[str, Any]:
    """The same with a method of each training seed in place of one that has several.

    Raises:
        ValueError: if the seeds are none, or a method would have the name of another one.
    """
    found: dict[str, Any] = {}
    for name, method in methods.items():
        seeds = _seeds(method)
        if seeds is None:
            found[name] = method
            continue
        where, rest = f"methods.{name}.training", {**method["training"]}
        del rest["seeds"]
        if not seeds or len(set(seeds)) < len(seeds) or not all(_is_seed(seed) for seed in seeds):
            raise ValueError(
                f"{where}.seeds: expected several seeds, each once, whole numbers from 0, got "
                f"{method['training']['seeds']!r}"
            )
        if "seed" in rest:
            raise ValueError(f"{where}.seed: expected seed or seeds, got both; leave one out")
        for seed in seeds:
            if (one := f"{name}-{seed}") in methods:
                raise ValueError(
                    f"methods.{one}: {name!r} with the seed {seed} has this name as well; choose another"
                )
            label = f"{method.get('label') or name}, seed {seed}"
            found[one] = method | {"label": label, "training": rest | {"seed": seed}, "replica_of": name}
    return found


def _seeds(method: Any) -> list[Any] | None:
    """The training seeds of an entry; `None` where it names none."""
    training = method.get("training") if isinstance(method, dict) else None
    if not isinstance(training, dict) or "seeds" not in training:
        return None
    given = training["seeds"]
    return [seed if isinstance(seed, int) else str(seed) for seed in given] if isinstance(given, list) else []


def _is_seed(seed: Any) -> bool:
    return isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0
