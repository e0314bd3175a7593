"""The form of a new task: the file with its columns, and the settings of its training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from trainer import kinds
from trainer.settings import ExpertSettings
from ui.views.adding import ROLES

BY_NAME = "found by its name"
BY_COLUMNS = "told by the columns"
ENDINGS = [".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt", ".parquet"]
DEFAULTS = ExpertSettings()


@dataclass(frozen=True)
class File:
    """What to read, and how."""

    file: gr.File
    kind: gr.Dropdown
    text: gr.Dropdown
    text_pair: gr.Dropdown
    label: gr.Dropdown

    @classmethod
    def build(cls) -> "File":
        """The components, in the place where this is called."""
        file = gr.File(label="Rows: CSV, TSV, JSON Lines or Parquet", file_types=ENDINGS, type="filepath")
        with gr.Row():
            kind = gr.Dropdown([BY_COLUMNS, *kinds.names("tasks")], value=BY_COLUMNS, label="Kind of task")
            columns = [
                gr.Dropdown([BY_NAME], value=BY_NAME, label=label, allow_custom_value=True)
                for label in ("Column of the text", "Column of the second text", "Column of the label")
            ]
        return cls(file, kind, *columns)

    @property
    def parts(self) -> list[gr.components.Component]:
        """All of them."""
        return [getattr(self, field.name) for field in fields(self)]


def build_settings() -> dict[str, gr.components.Component]:
    """A component for each field of `ExpertSettings`. A page has no empty number: 0 stands for the default of
    those that have none of their own."""

    def number(label: str, value: float | None, whole: bool = True) -> gr.Number:
        return gr.Number(value or 0, label=label, precision=0 if whole else None)

    with gr.Row():
        epochs = number("Epochs at most (0: 3 to 12, the fewer rows the more)", DEFAULTS.epochs)
        length = number("Tokens of a text that are read", DEFAULTS.max_length)
        seed = number("Seed", DEFAULTS.seed)
    with gr.Accordion("More settings", open=False):
        with gr.Row():
            adapter = gr.Dropdown(kinds.names("adapters"), value=DEFAULTS.adapter, label="Kind of adapter")
            preset = gr.Textbox(DEFAULTS.preset, label="Preset of its shape", max_length=100)
            rank = number("Rank (0: the adapter's own)", DEFAULTS.rank)
            alpha = number("Alpha (0: the adapter's own)", DEFAULTS.alpha, whole=False)
        with gr.Row():
            targets = gr.Textbox(
                label="Linear layers that are adapted, as q_proj,v_proj (empty: the adapter's own)",
                max_length=500,
            )
            options = gr.Textbox(
                label="Options of its kind, as input_cores=3; output_cores=3", max_length=1000
            )
        with gr.Row():
            layer = number("First layer that is adapted (0: a quarter up)", DEFAULTS.first_layer)
            batch = number("Rows a step", DEFAULTS.batch_size)
            patience = number("Epochs without gain before it stops", DEFAULTS.patience)
        with gr.Row():
            rate = number("Learning rate (0: the adapter's own)", DEFAULTS.learning_rate, whole=False)
            head = number("Learning rate of the head", DEFAULTS.head_learning_rate, whole=False)
        with gr.Row():
            template = gr.Textbox(
                label="Template of written answers", info="Empty: {text} and a line break", lines=2
            )
            target = number("Tokens of an answer to learn", DEFAULTS.max_target)
    instant = gr.Checkbox(
        DEFAULTS.instant,
        label="Answer at once",
        info="A head alone answers within seconds, and stays if training gives nothing better.",
    )
    return {
        "instant": instant,
        "epochs": epochs, "max_length": length, "seed": seed, "adapter": adapter, "preset": preset,
        "rank": rank, "alpha": alpha, "targets": targets, "options": options, "first_layer": layer,
        "batch_size": batch, "patience": patience, "learning_rate": rate, "head_learning_rate": head,
        "template": template, "max_target": target,
    }  # fmt: skip


def settings_from(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults, as `ExpertSettings` takes them."""
    found = {}
    for name, value in given.items():
        default = getattr(DEFAULTS, name)
        if value in (None, "") or (value == 0 and default is None) or value == default:
            continue
        found[name] = int(value) if isinstance(value, float) and value.is_integer() else value
    return found


def columns_of(kind: str | None, *columns: str | None) -> dict[str, str | None]:
    """How to read a file, as the reader is told it."""
    named = [None if not column or column == BY_NAME else column for column in columns]
    return {
        "kind": None if not kind or kind == BY_COLUMNS else kind,
        **dict(zip(ROLES, named, strict=True)),
    }
