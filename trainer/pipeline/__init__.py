"""The verbs of the product: a file becomes an expert, experts become a router generation, both are
measured."""

from trainer.pipeline.adding import AddedTask, add_rows, add_task
from trainer.pipeline.evaluating import Report, evaluate
from trainer.pipeline.refitting import RetrainedRouter, retrain_router
from trainer.settings import ExpertSettings

__all__ = [
    "AddedTask",
    "ExpertSettings",
    "Report",
    "RetrainedRouter",
    "add_rows",
    "add_task",
    "evaluate",
    "retrain_router",
]
