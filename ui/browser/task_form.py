"""The form of new tasks: the files with their columns, the name, and how they become experts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import gradio as gr

from trainer import kinds
from trainer.data import task_name
from ui.browser import settings_form
from ui.views.adding import ROLES

BY_NAME = "found by its name"
BY_COLUMNS = "told by the columns"
ENDINGS = [".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt", ".parquet"]
TRAIN, COMBINE = "train", "combine"


@dataclass(frozen=True)
class File:
    """What to read, and how.

    Attributes:
        splits: the fold around `validation` and `test`.
    """

    files: gr.File
    splits: gr.Accordion
    validation: gr.File
    test: gr.File
    kind: gr.Dropdown
    text: gr.Dropdown
    text_pair: gr.Dropdown
    label: gr.Dropdown

    @classmethod
    def build(cls) -> Self:
        """The components, in the place where this is called."""
        files = gr.File(
            label="Rows: CSV, TSV, JSON Lines or Parquet; several files are several tasks",
            file_types=ENDINGS,
            file_count="multiple",
            elem_classes="several",
            type="filepath",
        )
        with gr.Accordion("If validation or test rows are in files of their own", open=False) as splits:
            gr.Markdown(
                "Else about a tenth of the rows is set aside for each, or what a column `split` says."
            )
            with gr.Row():
                validation, test = [
                    gr.File(label=label, file_types=ENDINGS, type="filepath", height=140)
                    for label in ("Validation rows: to choose the best epoch", "Test rows: to measure it")
                ]
        with gr.Accordion("If the columns do not say what they are", open=False), gr.Row():
            kind = gr.Dropdown(
                [BY_COLUMNS, *kinds.names("tasks")],
                value=BY_COLUMNS,
                label="Kind of task",
                info="What an answer is.",
            )
            columns = [
                gr.Dropdown([BY_NAME], value=BY_NAME, label=label, info=info, allow_custom_value=True)
                for label, info in (
                    ("Column of the text", "What is asked."),
                    ("Column of the second text", "Of tasks on pairs."),
                    ("Column of the label", "The answer, whatever its kind."),
                )
            ]
        return cls(files, splits, validation, test, kind, *columns)

    @property
    def parts(self) -> list[gr.components.Component]:
        """All of them."""
        return [self.files, self.validation, self.test, *self.columns]

    @property
    def columns(self) -> list[gr.components.Component]:
        """How to read them."""
        return [self.kind, self.text, self.text_pair, self.label]


@dataclass(frozen=True)
class Filled:
    """What a form held when it was sent.

    Attributes:
        held_out: the files of validation and test rows, where there are any.
        columns: how to read the files, as the reader is told it.
        way: TRAIN or COMBINE.
        name: of the task: what was typed, else as its one file is called, else empty.
        settings: of the training, where they differ from the defaults; combining: of `trainer.adapt`.
    """

    files: tuple[str, ...]
    held_out: dict[str, str]
    columns: dict[str, Any]
    way: str
    name: str
    base_model: str | None
    settings: dict[str, Any]
    combining: dict[str, Any]

    @property
    def several(self) -> bool:
        """Whether they are several tasks."""
        return len(self.files) > 1


@dataclass(frozen=True)
class Form:
    """Everything that a person says of a new task, and what it is understood to be."""

    source: File
    report: gr.Textbox
    head: gr.Dataframe
    name: gr.Textbox
    leads: gr.Textbox
    way: gr.Radio
    train: gr.Column
    base: gr.Dropdown
    settings: settings_form.Fields
    combine: gr.Column
    combining: settings_form.Fields
    cost: gr.Textbox

    @classmethod
    def build(cls) -> Self:
        """The components, in the place where this is called."""
        gr.Markdown("### 1. Rows\nA table with a column of texts and a column of labels, one row an example.")
        source = File.build()
        report = gr.Textbox(label="What was found", interactive=False, lines=4, max_lines=20)
        head = gr.Dataframe(
            label="The first rows", interactive=False, visible=False, wrap=True, max_height=300
        )
        gr.Markdown("### 2. Expert")
        with gr.Row():
            name = gr.Textbox(
                label="Name of the task",
                info="Empty, or of several files: as each file is called.",
                max_length=64,
            )
            leads = gr.Textbox(
                label="What the name leads to",
                info="A new task, or the next version of one.",
                interactive=False,
                max_lines=10,
            )
        way = gr.Radio(
            [("train it on the rows", TRAIN), ("combine other experts by them, 8 to 64 rows", COMBINE)],
            value=TRAIN,
            label="How it becomes an expert",
            info="A few rows teach little, but they tell which of the experts that there are help.",
        )
        with gr.Column() as train:
            base = gr.Dropdown(
                label="Base model",
                info=base_info("the one that was used last"),
                choices=[],
                allow_custom_value=True,
            )
            settings = settings_form.training()
        with gr.Column(visible=False) as combine:
            combining = settings_form.combining()
        cost = gr.Textbox(label="What it will take", interactive=False, lines=2)
        return cls(source, report, head, name, leads, way, train, base, settings, combine, combining, cost)

    @property
    def parts(self) -> list[gr.components.Component]:
        """All of them, in the order of `read`."""
        one = [self.way, self.name, self.base]
        return [*self.source.parts, *one, *self.settings.values(), *self.combining.values()]

    def read(self, values: Sequence[Any]) -> Filled:
        """What the values of all parts say."""
        left = iter(values)
        files, validation, test, *columns = islice(left, len(self.source.parts))
        way, name, base = islice(left, 3)
        settings = dict(zip(self.settings, islice(left, len(self.settings)), strict=True))
        combining = dict(zip(self.combining, left, strict=True))
        files, way = tuple(files or ()), way or TRAIN
        # Combining divides no rows, and its form shows no place for them.
        held_out = {"validation": validation, "test": test} if way == TRAIN else {}
        return Filled(
            files=files,
            held_out={split: file for split, file in held_out.items() if file},
            columns=columns_of(*columns),
            way=way,
            name=task_name(files[0]) if len(files) == 1 and not name else name or "",
            base_model=base or None,
            settings=settings_form.settings_from(settings),
            combining=settings_form.combining_from(combining),
        )


def base_info(empty: str) -> str:
    """What the box of the base model is for; `empty`: which one it is where nothing is typed."""
    return f"What it stands on: a name, a folder or a GGUF file. Empty: {empty}."


def columns_of(kind: str | None, *columns: str | None) -> dict[str, Any]:
    """How to read a file, as the reader is told it."""
    named = [None if not column or column == BY_NAME else column for column in columns]
    return {
        "kind": None if not kind or kind == BY_COLUMNS else kind,
        **dict(zip(ROLES, named, strict=True)),
    }
