"""Accuracy by task and generation."""

from collections.abc import Mapping
from typing import Any

from ui.plots import fields


def draw(document: Mapping[str, Any]) -> bytes:
    """`document` as of `ui.views.continual.show_matrix`: percent in the fields."""
    values = document["values"]
    return fields.draw(
        document["tasks"],
        [str(number) for number in document["generations"]],
        values,
        said=lambda row, column: f"{100 * values[row][column]:.0f}",
        title=f"{document['metric'].replace('_', ' ')} on test rows, percent",
        x="generation",
        y="task",
    )


def said(document: Mapping[str, Any]) -> str:
    """The newest column of the picture in words, of ten tasks at most."""
    tasks, values = document["tasks"], document["values"]
    newest = [
        f"{task} {line[-1]:.0%}"
        for task, line in zip(tasks, values, strict=True)
        if line and line[-1] is not None
    ]
    more = f" and {len(newest) - 10:,} more tasks" if len(newest) > 10 else ""
    what = document["metric"].replace("_", " ")
    return f"{what} by task and generation; in the newest: {', '.join(newest[:10])}{more}."
