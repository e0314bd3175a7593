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
