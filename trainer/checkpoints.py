"""Training runs on disk: parameters, optimiser moments and the best state so far, as safetensors. Nothing is
pickled."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from registry import tensors as tensor_files
from registry.canonical import sha256_of
from registry.disk import replacing
from registry.errors import DamagedError, StorageError
from registry.faults import fault
from registry.tensors import Tensors
from trainer.learner import TrainingState

FORMAT = 2
"""Raised when what a checkpoint holds changes."""

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Checkpoint:
    """One run's checkpoint file; runs with the same key are the same run.

    `guard` is called before each write, and raises when the run is somebody else's by now.
    """

    def __init__(self, folder: Path, key: str, guard: Callable[[], object] = lambda: None) -> None:
        self.path = folder / f"{key}.safetensors"
        self.guard = guard

    def save(self, module: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
        """Write the run as it stands, in one step: a kill leaves the old file or the new one.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        self.guard()
        values = {f"now.{name}": value for name, value in module.state_dict().items()}
        values |= {f"best.{name}": value for name, value in state.best.items()}
        values |= dict(_moments(optimizer))
        about = {
            "format": FORMAT,
            "step": state.step,
            "loss_sum": state.loss_sum,
            "best_score": list(state.best_score) if state.best else None,
            "waited": state.waited,
            "history": state.history,
        }
        arrays = {name: value.numpy(force=True) for name, value in values.items()}
        content = tensor_files.pack(arrays, {**about, "sha256": _digest(arrays, about)})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as file:
                file.write(content)
                file.flush()
                fault("checkpoint.written")
                os.fsync(file.fileno())
                fault("checkpoint.synced")
            fault("checkpoint.renamed")
        except OSError as reason:
            raise StorageError(f"cannot write the checkpoint {self.path}: {reason.strerror}") from reason

    def load(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
        """Put module and optimiser back where they were; a fresh state if there is no checkpoint, a damaged
        one, or one of another version of this program."""
        try:
            values, about = tensor_files.unpack(self.path.read_bytes())
        except (OSError, DamagedError):
            return TrainingState()
        if about.pop("sha256", None) != _digest(values, about) or about["format"] != FORMAT:
            return TrainingState()
        tensors = {name: torch.from_numpy(value.copy()) for name, value in values.items()}
        module.load_state_dict(_under("now.", tensors))
        for group_index, group in enumerate(optimizer.param_groups):
            for index, parameter in enumerate(group["params"]):
                prefix = f"moment.{group_index}.{index}."
                if f"{prefix}step" not in tensors:  # No row has moved it yet.
                    continue
                moments = {name: tensors[prefix + name].to(parameter.device) for name in MOMENTS}
                # AdamW counts steps on the CPU, wherever its parameters are.
                optimizer.state[parameter] = {**moments, "step": moments["step"].cpu()}
        state = TrainingState(
            step=about["step"],
            loss_sum=about["loss_sum"],
            best=_under("best.", tensors),
            waited=about["waited"],
            history=about["history"],
        )
        if about["best_score"] is not None:
            first, second = about["best_score"]
            state.best_score = (first, second)
        return state

    def remove(self) -> None:
        """The run has ended."""
        self.path.unlink(missing_ok=True)


def _digest(values: Tensors, about: dict[str, Any]) -> str:
    """Of everything in a checkpoint: a flipped bit in a tensor would otherwise go unseen."""
    return sha256_of(tensor_files.pack(values, about))


def _moments(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for group_index, group in enumerate(optimizer.param_groups):
        for index, parameter in enumerate(group["params"]):
            for name, value in optimizer.state.get(parameter, {}).items():
                yield f"moment.{group_index}.{index}.{name}", value


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
