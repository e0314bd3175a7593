"""Where the rows of each task were sent."""

from collections.abc import Mapping
from typing import Any

from ui.plots import fields


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
        y="rows of",
    )
