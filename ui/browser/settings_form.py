"""The settings of an expert in a form: of one that is trained, and of one that is combined from others."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from trainer import kinds
from trainer.settings import ExpertSettings

DEFAULTS = ExpertSettings()
Fields = dict[str, gr.components.Component]
"""By the name of the setting that each is."""


def training() -> Fields:
    """A component for each field of `ExpertSettings`. A page has no empty number: 0 stands for the default of
    those that have none of their own."""
    with gr.Row():
        found: Fields = {
            "epochs": _number("epochs", "Epochs at most", "0: 3 to 12, the fewer rows the more."),
            "max_length": _number("max_length", "Tokens of a text that are read", "The rest is left out."),
            "seed": _number("seed", "Seed", "Of everything random."),
        }
    found["instant"] = gr.Checkbox(
        DEFAULTS.instant,
        label="Answer at once",
        info="A head alone answers within seconds, and stays if training gives nothing better.",
    )
    with gr.Accordion("More settings", open=False):
        for row in (_shape, _targets, _steps, _written):
            with gr.Row():
                found |= row()
    return found


def _shape() -> Fields:
    return {
        "adapter": gr.Dropdown(
            kinds.names("adapters"),
            value=DEFAULTS.adapter,
            label="Kind of adapter",
            info="What is trained beside the base model.",
        ),
        "preset": gr.Textbox(
            DEFAULTS.preset, label="Preset of its shape", info="default, or paper.", max_length=100
        ),
        "rank": _number("rank", "Rank", "0: the adapter's own."),
        "alpha": _number("alpha", "Alpha", "Scale of its output; 0: its own.", whole=False),
    }


def _targets() -> Fields:
    return {
        "targets": gr.Textbox(
            label="Linear layers that are adapted",
            info="As q_proj,v_proj; empty: the adapter's own.",
            max_length=500,
        ),
        "options": gr.Textbox(
            label="Options of its kind", info="As input_cores=3; output_cores=3.", max_length=1000
        ),
        "first_layer": _number(
            "first_layer", "First layer that is adapted", "The router reads below it; 0: a quarter up."
        ),
    }


def _steps() -> Fields:
    return {
        "batch_size": _number("batch_size", "Rows a step", "More need more memory."),
        "patience": _number(
            "patience", "Epochs without gain before it stops", "The best epoch so far is kept."
        ),
        "learning_rate": _number(
            "learning_rate", "Learning rate", "Highest; 0: the adapter's own.", whole=False
        ),
        "head_learning_rate": _number(
            "head_learning_rate", "Learning rate of the head", "Highest.", whole=False
        ),
    }


def _written() -> Fields:
    return {
        "template": gr.Textbox(
            label="Template of written answers", info="Empty: {text} and a line break.", lines=2
        ),
        "max_target": _number(
            "max_target", "Tokens of an answer to learn", "Of written ones; a longer one is refused."
        ),
    }


def _number(name: str, label: str, info: str, whole: bool = True) -> gr.Number:
    return gr.Number(getattr(DEFAULTS, name) or 0, label=label, info=info, precision=0 if whole else None)


def settings_from(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults, as `ExpertSettings` takes them."""
    found = {}
    for name, value in given.items():
        default = getattr(DEFAULTS, name)
        if value in (None, "") or (value == 0 and default is None) or value == default:
            continue
        found[name] = int(value) if isinstance(value, float) and value.is_integer() else value
    return found


def combining() -> Fields:
    """A component for each argument of `trainer.adapt` that shapes the expert."""
    with gr.Row():
        return {
            "experts": gr.Dropdown(
                [],
                multiselect=True,
                value=[],
                label="Experts that may be combined",
                info="None chosen: the newest of every other task.",
            ),
            "rank": _number("rank", "Rank of the new expert", "0: its parents' together, 16 at most."),
            "max_length": _number("max_length", "Tokens of a text that are read", "The rest is left out."),
        }


def combining_from(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `trainer.adapt` is told."""
    return {
        "experts": list(given["experts"] or ()) or None,
        "rank": int(given["rank"] or 0) or None,
        "max_length": int(given["max_length"] or DEFAULTS.max_length),
    }
