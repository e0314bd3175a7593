"""Tensors: the base model, adapters, experts and routers; what trains and what predicts.

>>> from trainer import MoE, add_task, retrain_router
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.base_model import BaseModel
    from trainer.decoding import Decoding
    from trainer.inputs import Input
    from trainer.mixture_settings import MixtureSettings
    from trainer.moe import MoE
    from trainer.pipeline import (
        ExpertSettings,
        adapt,
        add_task,
        add_tasks,
        evaluate,
        retrain_router,
        train_mixture,
    )
    from trainer.predictions import Prediction

__all__ = [
    "BaseModel",
    "Decoding",
    "ExpertSettings",
    "Input",
    "MixtureSettings",
    "MoE",
    "Prediction",
    "adapt",
    "add_task",
    "add_tasks",
    "evaluate",
    "retrain_router",
    "train_mixture",
]

# Loaded when first asked for: torch and transformers take seconds, and reading a file needs neither.
_LATER = {
    "BaseModel": "trainer.base_model",
    "Decoding": "trainer.decoding",
    "ExpertSettings": "trainer.pipeline",
    "Input": "trainer.inputs",
    "MixtureSettings": "trainer.mixture_settings",
    "MoE": "trainer.moe",
    "Prediction": "trainer.predictions",
    "adapt": "trainer.pipeline",
    "add_task": "trainer.pipeline",
    "add_tasks": "trainer.pipeline",
    "evaluate": "trainer.pipeline",
    "retrain_router": "trainer.pipeline",
    "train_mixture": "trainer.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
