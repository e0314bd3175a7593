"""Where the rows of each task were sent."""

from collections.abc import Mapping
from typing import Any

from ui.plots import fields

Y = "rows of"


def draw(document: Mapping[str, Any]) -> bytes:
    """`document` as of `ui.views.routing.show_confusion`: counts, coloured by their share of the row."""
    tasks, rows = document["tasks"], document["rows"]
    totals = [sum(line) + extra for line, extra in zip(rows, document["elsewhere"], strict=True)]
    shares = [
        [count / total if count else None for count in line]
        for line, total in zip(rows, (max(1, total) for total in totals), strict=True)
    ]
    more = document["all_tasks"] - len(tasks)
    return fields.draw(
        tasks,
        tasks,
        shares,
        said=lambda row, column: f"{rows[row][column]:,}" if rows[row][column] else "",
        title=f"{document['generation']}, {document['split']} rows"
        + (f" ({more:,} more tasks not shown)" if more else ""),
        x="sent to the expert of",
        y=Y,
    )


def pair_at(document: Mapping[str, Any], x: float, y: float) -> tuple[str, str | None] | None:
    """Whose rows, and the task they were sent to, at a place of the picture; to any beside a row's name."""
    tasks = document["tasks"]
    found = fields.Layout.of(tasks, tasks, y=Y).field_at(x, y)
    if found is None:
        return None
    row, column = found
    return tasks[row], None if column is None else tasks[column]
