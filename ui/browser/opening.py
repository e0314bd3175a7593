"""A tab reads what it shows when it is opened, and not before: the page would wait for all of them."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.context import get_render_context


def when_opened(
    show: Callable[..., object], inputs: Sequence[gr.components.Component], outputs: Sequence[Any]
) -> None:
    """Calls `show` each time that the tab which is being built is opened."""
    tab = get_render_context()
    while not isinstance(tab, gr.Tab):
        assert tab is not None, "to be called while a tab is built"
        tab = tab.parent
    tab.select(show, list(inputs), list(outputs), api_visibility="private", show_progress="minimal")


def linked_tab(request: gr.Request) -> str:
    """The tab that the address of the page names: `/?tab=experts&name=sst2@1`."""
    return str(request.query_params.get("tab", ""))


def linked(request: gr.Request, tab: str, key: str = "name") -> str:
    """What the address of the page names for a tab; empty if it names another one."""
    return str(request.query_params.get(key, "")) if linked_tab(request) == tab else ""


FIELDS = ("35%", "65%")
"""Widths of a table of names and values, so that long values wrap."""


def table(
    label: str,
    *headers: str,
    numbers: Sequence[str] = (),
    height: int = 400,
    widths: Sequence[str | int] | None = None,
    empty: bool = True,
) -> gr.Dataframe:
    """A table to read: whatever a cell holds is text, or a number in the columns named.

    Args:
        widths: of the columns; where they are given, text wraps instead of running out of sight.
        empty: whether it is there without a row; if not, `filled` is to fill it.
    """
    return gr.Dataframe(
        headers=list(headers),
        column_count=len(headers),
        datatype=["number" if header in numbers else "str" for header in headers],
        type="array",
        interactive=False,
        visible=empty,
        label=label,
        wrap=True,
        max_height=height,
        column_widths=None if widths is None else list(widths),
    )


def filled(rows: Sequence[Sequence[object]]) -> gr.Dataframe:
    """A table with these rows; gone if there are none."""
    return gr.Dataframe(rows, visible=bool(rows))


def clicked(event: gr.SelectData) -> str:
    """The first cell of the row that somebody clicked on: what the row is about."""
    row = event.row_value
    return str(row[0]) if row else ""
