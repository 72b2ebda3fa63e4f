"""Training of networks: schedules in phases, exact resumption, best and last parameters."""

import copy
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mrilib.store.checkpoints import read_state, write_state
from mrilib.store.units import derived_seed
from mrilib.training.blame import because, reduced, step_to_blame, to_blame
from mrilib.training.schedule import Phase, check_phases
from mrilib.training.task import Sample, TrainingTask

# Seconds between two states on the disk, and between two lines of progress in a log.
SAVE_EVERY = 300.0
REPORT_EVERY = 30.0
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
}
Made = TypeVar("Made")


@dataclass(frozen=True)
class Fitted:
    """What training left.

    Args:
        history: one row an epoch: `phase`, `epoch` (counted through), `loss` (mean), `validation_error`,
            `seconds`, `samples_per_second`, `best`.
        best: parameters of the epoch with the lowest validation error.
        last: parameters at the end.
        kept: parameters after the epochs that were asked for.
    """

    history: list[dict[str, Any]]
    best: dict[str, Tensor]
    last: dict[str, Tensor]
    kept: dict[int, dict[str, Tensor]]

    @property
    def best_epoch(self) -> int:
        return int(self.history[_best(self.history)]["epoch"])


@dataclass(frozen=True)
class _Plan:
    phases: tuple[Phase, ...]
    seed: int
    keep: tuple[int, ...]
    state: Path
    workers: int
    save_every: float


def fit(
    model: nn.Module,
    task: TrainingTask,
    *,
    phases: Sequence[Phase],
    seed: int,
    state: str | Path,
    keep: Sequence[int] = (),
    devices: int = 1,
    workers: int = 0,
    precision: str | None = None,
    save_every: float = SAVE_EVERY,
) -> Fitted:
    """Train `model` in place on `task`, or go on where an earlier call ended.

    Every random number depends on the seed and on a position (epoch, sample, step) alone. So a call that was
    killed and repeated ends with the parameters of an undisturbed one, to the last bit on the CPU, and
    samples do not depend on the number of workers. Of every epoch the last, incomplete batch is left out.

    Args:
        model: called by the task.
        task: samples, loss, validation error.
        phases: one after another.
        seed: of the order of samples, and of layers that draw.
        state: file that holds everything needed to go on; written at the end of every epoch and every
            `save_every` seconds. A file of other phases or another seed is refused.
        keep: epochs, counted through all phases from 1, after which the parameters are kept as well.
        devices: GPUs of this node, or processes on a CPU; they share every batch.
        workers: processes that draw samples; 0 draws them here.
        precision: of `lightning_fabric`; by default `bf16-mixed` on GPUs and `32-true` on CPUs.
        save_every: seconds.

    Raises:
        ValueError: for phases out of range.
        FloatingPointError: if the loss or its gradient is not finite, and says at which step and for which
            samples; or if the validation error is not, and says after which epoch and for which sample.

    Source: schedules of [alaifari2023] are phases in `config.paper.yaml`. Our choice: best parameters by
    validation error; the paper does not say which it kept.
    """
    check_phases(phases, count=task.count, devices=devices, uniform=task.uniform)
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        strategy="ddp_spawn" if devices > 1 else "auto",
        precision=precision or ("bf16-mixed" if accelerator == "cuda" else "32-true"),  # type: ignore[arg-type]
        # A job is one task of its scheduler, whatever that scheduler sets in the environment.
        plugins=[LightningEnvironment()],
    )
    plan = _Plan(tuple(phases), seed, tuple(keep), Path(state), workers, save_every)
    if devices > 1:
        fabric.launch(functools.partial(_train, model=model, task=task, plan=plan))
    else:
        _train(fabric, model, task, plan)
    found = read_state(state)
    model.load_state_dict(found["model"])
    return Fitted(
        history=found["history"],
        best=found["best"],
        last=found["model"],
        kept={int(epoch): kept for epoch, kept in found["kept"].items()},
    )


class _Samples(Dataset):
    """The samples of one epoch, or the validation samples."""

    def __init__(self, task: TrainingTask, epoch: int | None) -> None:
        self._task, self._epoch = task, epoch

    def __len__(self) -> int:
        return self._task.validation if self._epoch is None else self._task.count

    def __getitem__(self, index: int) -> Sample:
        if self._epoch is None:
            return self._task.validation_sample(index)
        return self._task.sample(self._epoch, index)


class _Training:
    """The state of a training, in memory and on the disk."""

    def __init__(self, fabric: Fabric, model: nn.Module, task: TrainingTask, plan: _Plan) -> None:
        self.fabric, self.plan = fabric, plan
        self.draws, self.task = task, task.to(fabric.device)
        # Convolutions of few channels are the faster for it on CPUs as well.
        self.plain = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = fabric.setup_module(self.plain)
        self.optimizer: Any
        self.phase = self.epoch = self.step = 0
        self.loss = 0.0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] = {}
        self.kept: dict[str, dict[str, Tensor]] = {}
        self.saved = time.monotonic()
        self.key = str(
            {"phases": [asdict(phase) for phase in plan.phases], "seed": plan.seed, "keep": plan.keep}
        )

    @property
    def turn(self) -> int:
        """Epochs done, counted through all phases."""
        return sum(phase.epochs for phase in self.plan.phases[: self.phase]) + self.epoch

    def renew_optimizer(self, phase: Phase) -> None:
        made = OPTIMIZERS[phase.optimizer](self.plain.parameters(), lr=phase.learning_rate)  # type: ignore[call-arg]
        self.optimizer = self.fabric.setup_optimizers(made)

    def begin_phase(self) -> None:
        """The optimizer of the present phase."""
        phase = self.plan.phases[self.phase]
        if phase.restart:
            self.renew_optimizer(phase)
        for group in self.optimizer.param_groups:
            group.update(lr=phase.learning_rate, eps=phase.eps, weight_decay=phase.weight_decay)

    def parameters(self) -> dict[str, Tensor]:
        return {name: value.detach().cpu().clone() for name, value in self.plain.state_dict().items()}

    def save(self) -> None:
        if self.fabric.is_global_zero:
            write_state(
                self.plan.state,
                {
                    "key": self.key,
                    "model": self.parameters(),
                    "adam": self.optimizer.optimizer.state_dict(),
                    "position": [self.phase, self.epoch, self.step],
                    "loss": self.loss,
                    "history": self.history,
                    "best": self.best,
                    "kept": self.kept,
                },
            )
        self.saved = time.monotonic()

    def resume(self) -> None:
        if not self.plan.state.exists():
            self.begin_phase()
            return
        found = read_state(self.plan.state)
        if found.get("key") != self.key:
            raise ValueError(
                f"{self.plan.state}: the state of another training (phases, seed or kept epochs differ); "
                "delete it or name another file"
            )
        self.plain.load_state_dict(found["model"])
        self.phase, self.epoch, self.step = found["position"]
        self.renew_optimizer(self.plan.phases[min(self.phase, len(self.plan.phases) - 1)])
        self.optimizer.optimizer.load_state_dict(found["adam"])
        self.loss, self.history = found["loss"], found["history"]
        self.best, self.kept = found["best"], found["kept"]
        print(f"going on after {self.turn} epochs and {self.step} steps", flush=True)


def _train(fabric: Fabric, model: nn.Module, task: TrainingTask, plan: _Plan) -> None:
    """Train to the end of the last phase and leave the state on the disk."""
    devices = [fabric.device] if fabric.device.type == "cuda" else []
    if fabric.world_size > 1:
        model = copy.deepcopy(model)  # what a process is given on a CPU it shares with the others
    with torch.random.fork_rng(devices=devices):
        training = _Training(fabric, model, task, plan)
        training.resume()
        while training.phase < len(plan.phases):
            phase = plan.phases[training.phase]
            while training.epoch < phase.epochs:
                _epoch(training, phase)
            training.phase, training.epoch = training.phase + 1, 0
            if training.phase < len(plan.phases):
                training.begin_phase()
            training.save()
        fabric.barrier()


def _epoch(training: _Training, phase: Phase) -> None:
    """The rest of an epoch, its validation, and its row of the history."""
    plan, turn, task = training.plan, training.turn, training.task
    order = np.random.default_rng([plan.seed, turn]).permutation(task.count)
    batches = order[: task.count // phase.batch * phase.batch].reshape(-1, phase.batch)
    groups = [batches[start : start + phase.accumulate] for start in range(0, len(batches), phase.accumulate)]
    started, first = time.monotonic(), training.step
    reported = started
    loader = _loader(training, np.concatenate(groups[first:]) if first < len(groups) else batches[:0], turn)
    bar = tqdm(groups, initial=first, disable=None, desc=f"epoch {turn + 1}", unit="step", leave=False)
    training.model.train()
    for step in range(first, len(groups)):
        loss = _step(training, groups[step], loader, step)
        training.loss += loss * len(groups[step])
        training.step = step + 1
        bar.update()
        now = time.monotonic()
        done = sum(len(group) for group in groups[first : step + 1]) * phase.batch
        if bar.disable and now - reported > REPORT_EVERY and training.fabric.is_global_zero:
            reported = now
            print(
                f"epoch {turn + 1}, step {step + 1} of {len(groups)}: loss {loss:.4g}, "
                f"{done / (now - started):.1f} samples/s",
                flush=True,
            )
        if now - training.saved > plan.save_every and training.step < len(groups):
            training.save()
    bar.close()
    seconds = time.monotonic() - started
    error = _validation_error(training)
    better = not training.history or error < min(row["validation_error"] for row in training.history)
    rate = (len(batches) - sum(len(group) for group in groups[:first])) * phase.batch / max(seconds, 1e-9)
    row = {
        "phase": training.phase,
        "epoch": turn + 1,
        "loss": training.loss / len(batches),
        "validation_error": error,
        "seconds": seconds,
        "samples_per_second": rate,
    }
    training.history.append(row)
    if better:
        training.best = training.parameters()
    if turn + 1 in plan.keep:
        training.kept[str(turn + 1)] = training.parameters()
    training.epoch, training.step, training.loss = training.epoch + 1, 0, 0.0
    training.save()
    if training.fabric.is_global_zero:
        print(
            f"epoch {turn + 1}: loss {row['loss']:.4g}, validation error {100 * error:.2f} %"
            f"{' (best)' if better else ''}, {rate:.1f} samples/s",
            flush=True,
        )


def _step(training: _Training, group: np.ndarray, loader: Iterator[Sample], step: int) -> float:
    """One step of the optimizer; the mean loss of its batches."""
    fabric = training.fabric
    # Layers that draw (dropout) depend on the position alone, so that a resumed training draws the same.
    torch.manual_seed(derived_seed(training.plan.seed, training.turn, step, fabric.global_rank))
    total = torch.zeros((), device=fabric.device)
    for number in range(len(group)):
        with fabric.no_backward_sync(training.model, enabled=number + 1 < len(group)):
            batch = next(loader, None)
            if batch is None:
                raise RuntimeError(
                    f"training: the samples of epoch {training.turn + 1} ended before step {step + 1}; the "
                    "task has fewer than its count says"
                )
            batch = tuple(fabric.to_device(part) for part in batch)
            loss = training.task.loss(training.model, batch) / len(group)
            fabric.backward(loss)
        total += loss.detach()
    gradients = [parameter.grad for parameter in training.plain.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    value = reduced(fabric, total, "mean")
    if not (np.isfinite(value) and bool(norm.isfinite())):
        raise FloatingPointError(
            f"training: loss {value:.4g} and gradient norm {float(norm):.4g} at step {step + 1} of epoch "
            f"{training.turn + 1}, {_blame(training, group)}. {training.plan.state} holds the last good state"
        )
    training.optimizer.step()
    training.optimizer.zero_grad()
    return value


def _blame(training: _Training, group: np.ndarray) -> str:
    """Which samples made a step not finite, and what mends it."""
    task, turn = training.draws, training.turn
    slower = f"lower the learning rate of phase {training.phase + 1} or raise its eps"
    found = step_to_blame(
        training.fabric, training.plain, training.task, group, lambda index: task.sample(turn, index)
    )
    if not found:
        return f"though every sample alone has finite ones; {slower}"
    names, faults = [task.sample_name(index) for index in found], task.faults(task.sample(turn, found[0]))
    return f"{because(names, group.size, faults)}, or {slower} if it is so for all of them"


def _loader(training: _Training, batches: Iterable[np.ndarray], turn: int | None) -> Iterator[Sample]:
    """Batches of this process, in order; `turn` `None` for validation."""
    fabric = training.fabric
    mine = [batch[fabric.global_rank :: fabric.world_size].tolist() for batch in batches]
    return iter(
        DataLoader(
            _Samples(training.draws, turn),
            batch_sampler=[batch for batch in mine if batch],
            num_workers=training.plan.workers,
            pin_memory=fabric.device.type == "cuda",
        )
    )


@torch.no_grad()
def _validation_error(training: _Training) -> float:
    """Mean error of all validation samples, in evaluation mode."""
    phase, fabric = training.plan.phases[training.phase], training.fabric
    count = training.task.validation
    batches = list(np.array_split(np.arange(count), -(-count // phase.batch)))
    training.model.eval()
    total = torch.zeros((), dtype=torch.float64, device=fabric.device)
    wrong = torch.zeros(count, device=fabric.device)
    own = (batch[fabric.global_rank :: fabric.world_size] for batch in batches)
    for indices, batch in zip(filter(len, own), _loader(training, batches, None), strict=True):
        moved = tuple(fabric.to_device(part) for part in batch)
        # The bare model: processes may have unlike numbers of batches, and must not wait for each other.
        with fabric.autocast():
            errors = training.task.errors(training.plain, moved)
        total += errors.double().sum()
        wrong[indices] = 1.0 - errors.isfinite().to(wrong.dtype)
    error = reduced(fabric, total, "sum") / count
    if not np.isfinite(error):
        task, found = training.draws, to_blame(fabric, wrong)
        names = [task.validation_name(index) for index in found]
        faults = task.faults(task.validation_sample(found[0]))
        raise FloatingPointError(
            f"training: the validation error after epoch {training.turn + 1} is {error}, "
            f"{because(names, count, faults)}, or lower the learning rate if it is so for all of them"
        )
    return error


def seeded(make: Callable[[], Made], seed: int) -> Made:
    """What `make` returns when torch draws from `seed`: a network with its initial parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def best_marked(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The history with `best` at the epoch with the lowest validation error, the first of them."""
    best = _best(history)
    return [dict(row) | {"best": index == best} for index, row in enumerate(history)]


def _best(history: Sequence[Mapping[str, Any]]) -> int:
    return min(range(len(history)), key=lambda index: history[index]["validation_error"])
