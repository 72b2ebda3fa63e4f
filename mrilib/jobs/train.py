"""How every training job fits its network and writes what came of it."""

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import nn

from mrilib.reconstructors.base import Reconstructor
from mrilib.store.atomic import write_text
from mrilib.store.checkpoints import Checkpoint, write_checkpoint
from mrilib.store.classes import load_class
from mrilib.store.units import UnitStore
from mrilib.training.fit import Fitted, Phase, best_marked, fit, seeded
from mrilib.training.task import TrainingTask


def network(method: Mapping[str, Any], seed: int) -> nn.Module:
    """A method's network before its training, on the job's threads."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    kind = load_class(method["reconstructor"], Reconstructor)
    return seeded(lambda: kind(**method["parameters"]), seed).model.train().requires_grad_(True)


def fitted(model: nn.Module, task: TrainingTask, params: Mapping[str, Any], *, seed: int, key: str) -> Fitted:
    """The fit of a job; its state is kept under the key, and a killed job goes on from it."""
    threads, gpus = int(os.environ["OMP_NUM_THREADS"]), torch.cuda.device_count()
    parameters = sum(value.numel() for value in model.parameters())
    print(f"{parameters:,} parameters, {task.count} samples an epoch, {threads} threads")
    training, store = params["training"], UnitStore(params["units"], params["index"])
    found = fit(
        model,
        task,
        phases=[Phase(**phase) for phase in training["phases"]],
        seed=seed,
        state=store.claim(f"training-{key}.pt"),
        keep=training["keep"],
        devices=max(gpus, 1),
        workers=threads - 1,
    )
    store.finish()
    return found


def write_fit(
    found: Fitted,
    outputs: Mapping[str, Any],
    *,
    about: Mapping[str, Any],
    names: Mapping[str, str],
    zero_filled: float,
) -> None:
    """Write the best and the last network with what they are, and the history with whose it is."""
    for name, state, epoch in (
        ("best", found.best, found.best_epoch),
        ("last", found.last, len(found.history)),
    ):
        write_checkpoint(outputs[name], Checkpoint(state, {**about, "epoch": epoch}))
    history = pd.DataFrame(best_marked(found.history)).assign(**names, zero_filled=zero_filled)
    write_text(outputs["history"], history.to_csv(index=False))
