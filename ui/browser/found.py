"""What the files of a form of new tasks were found to be, where their names lead, what they will take."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from registry.errors import RegistryError
from trainer.data import TaskData, task_name
from trainer.settings import ExpertSettings, settings_of
from ui.browser.context import Context
from ui.browser.shared import one_line
from ui.browser.task_form import BY_NAME, COMBINE, TRAIN, Filled
from ui.views import adding as view
from ui.views import adding_several as several

WAYS = {TRAIN: "Train an expert", COMBINE: "Combine experts"}
"""What the button says."""
ONE_EACH = "Train an expert of each"
"""The same of several files."""


def button(filled: Filled) -> str:
    """What the button says."""
    return ONE_EACH if filled.several and filled.way == TRAIN else WAYS[filled.way]


def look(filled: Filled) -> list[Any]:
    """What the files were found to be, and the settings of the way that was chosen: the report, the first
    rows, the choices of columns, the parts for one way and for the other, the button."""
    train = filled.way == TRAIN
    arranged = [gr.Column(visible=train), gr.Column(visible=not train), gr.Accordion(visible=train)]
    if not filled.files:
        return ["", gr.Dataframe(visible=False), *[gr.skip()] * 3, *arranged, _button(filled, False)]
    shown = _documents(filled)
    # Between quotes, since Gradio translates choices that are words of its own, such as "label".
    choices = [(BY_NAME, BY_NAME), *((f"“{column}”", column) for column in several.columns(shown))]
    wrong = unfit(filled)
    said = several.report(shown) if filled.several else "\n".join(view.report(shown[0]))
    takes = wrong is None and all(one["refusal"] is None for one in shown)
    return [
        said if wrong is None else f"Not taken. {wrong}\n\n{said}",
        _head(shown),
        *[gr.Dropdown(choices)] * 3,
        *arranged,
        _button(filled, takes),
    ]


def unfit(filled: Filled) -> str | None:
    """Why several files cannot be taken as the form says, whatever is in them; None where they can."""
    if not filled.several:
        return None
    if filled.way == COMBINE:
        return "An expert is combined by one file of rows: leave one."
    if filled.held_out:
        return "Files of validation or test rows are for one file of rows: leave one, or take those away."
    return None


def naming(context: Context, filled: Filled) -> str:
    """What the names lead to, or why they cannot be some."""
    try:
        if filled.several:
            return several.naming(context.registry(), filled.files)
        return view.naming(context.registry(), filled.name) if filled.name else ""
    except RegistryError as error:
        return one_line(error)


def cost(context: Context, filled: Filled) -> str:
    """What it will take, in words; or what is wrong with the settings."""
    if not filled.files or unfit(filled) is not None:
        return ""
    registry = context.registry()
    try:
        if filled.way == COMBINE:
            asked = filled.combining
            ExpertSettings(rank=asked["rank"], max_length=asked["max_length"])
            return view.combining_in_words(registry, filled.name, asked["experts"])
        settings = settings_of(filled.settings)
        data, base = _data(filled), base_of(context, filled)
        if any(one is None for one in data.values()):
            return ""
        known = {task: one for task, one in data.items() if one is not None}
        if filled.several:
            return several.costs(registry, known, base, settings)
        [only] = known.values()
        return view.cost_in_words(view.cost(registry, only, base, settings))
    except RegistryError as error:
        return one_line(error)


def base_of(context: Context, filled: Filled) -> str:
    """The base model to train on: what was typed, else the one that was used last."""
    return filled.base_model or view.base_models(context.registry())[0]


def _looks(filled: Filled) -> list[Any]:
    given = {**filled.columns, **({} if filled.several else filled.held_out)}
    return [view.look(file, few=filled.way == COMBINE, **given) for file in filled.files]


def _documents(filled: Filled) -> list[dict[str, Any]]:
    return [view.document(one) for one in _looks(filled)]


def _data(filled: Filled) -> dict[str, TaskData | None]:
    return {task_name(file): one.data for file, one in zip(filled.files, _looks(filled), strict=True)}


def _head(shown: Sequence[Mapping[str, Any]]) -> gr.Dataframe:
    """The first rows of one file; of several there would be as many tables."""
    if len(shown) > 1 or not shown[0]["columns"]:
        return gr.Dataframe(visible=False)
    [one] = shown
    return gr.Dataframe({"headers": view.headers(one), "data": one["head"]}, visible=True)


def _button(filled: Filled, usable: bool) -> gr.Button:
    return gr.Button(button(filled), interactive=usable)
