"""The verbs of the product: a file becomes an expert, experts become a router generation, both are
measured."""

from trainer.pipeline.adapting import Adapted, adapt, adapt_rows
from trainer.pipeline.adding import add_all, add_rows, add_task, add_tasks
from trainer.pipeline.evaluating import Report, evaluate
from trainer.pipeline.freezing import AddedTask
from trainer.pipeline.mixing import mix_rows, train_mixture
from trainer.pipeline.mixture_plan import TrainedMixture
from trainer.pipeline.refitting import RetrainedRouter, retrain_router
from trainer.settings import ExpertSettings

__all__ = [
    "Adapted",
    "AddedTask",
    "ExpertSettings",
    "Report",
    "RetrainedRouter",
    "TrainedMixture",
    "adapt",
    "adapt_rows",
    "add_all",
    "add_rows",
    "add_task",
    "add_tasks",
    "evaluate",
    "mix_rows",
    "retrain_router",
    "train_mixture",
]
