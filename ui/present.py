"""Records as people read them: safe text, numbers, tables. Nothing here opens a registry."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from registry.records import Evaluation
    from trainer.predictions import Prediction

# Wide enough that a table in a pipe or a file is never cut; a terminal uses its own width.
PIPE_WIDTH = 1000
BAR = 20
SPLITS = ("train", "validation", "test")
"""In the order in which people think of them."""


def plain(text: str, width: int | None = None) -> str:
    """`text` on one line, without characters that could steer a terminal, cut to `width` columns."""
    unsafe = {c for c in text if not c.isprintable()}
    mended: dict[str, str | int | None] = {
        c: " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in unsafe
    }
    safe = text.translate(str.maketrans(mended))
    return safe if width is None or len(safe) <= width else safe[: width - 1] + "…"


def number(value: float | int | None) -> str:
    """A count with thousands separators, a measure with three digits, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.3g}"


def value(given: object) -> str:
    """Any JSON value or time as one short line."""
    if isinstance(given, datetime):
        return moment(given)
    if isinstance(given, bool) or given is None:
        return {True: "yes", False: "no", None: "-"}[given]
    if isinstance(given, int | float):
        return number(given)
    if isinstance(given, list | tuple):
        return ", ".join(value(one) for one in given) or "-"
    return plain(str(given))


def size(count: int) -> str:
    """A number of bytes in decimal units: 1,234,567 -> "1.2 MB"."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def moment(when: datetime) -> str:
    """A time in the reader's own time zone, to the minute."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """A time span in the unit that suits it: 45 -> "45 s", 600 -> "10 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def bar(share: float) -> str:
    """A share of 0 to 1 as a bar of constant width."""
    filled = round(max(0.0, min(1.0, share)) * BAR)
    return "█" * filled + "░" * (BAR - filled)


def metrics(evaluations: Iterable["Evaluation"]) -> dict[str, dict[str, float]]:
    """`{split: {metric: value}}` of evaluations given newest first; the newest value of each wins."""
    found: dict[str, dict[str, float]] = {}
    for evaluation in reversed(list(evaluations)):
        found.setdefault(evaluation.split, {})[evaluation.metric] = evaluation.value
    return found


def rows(counts: Mapping[str, int]) -> dict[str, int]:
    """Row counts in the order of SPLITS."""
    return {split: counts[split] for split in SPLITS if split in counts}


def headline(by_split: Mapping[str, Mapping[str, float]], split: str) -> str:
    """The number that counts for a kind of task, which is the first of its split."""
    return number(next(iter(by_split.get(split, {}).values()), None))


def echo_metrics(by_split: Mapping[str, Mapping[str, float]]) -> None:
    """One line per split: its metrics by name."""
    for split in sorted(by_split, key=SPLITS.index):
        line = ", ".join(
            f"{name.replace('_', ' ')} {number(float(v))}" for name, v in by_split[split].items()
        )
        click.echo(f"  {split:<11} {line}")


def echo_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout. Columns of figures align right; nothing is cut outside a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[plain(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for index, name in enumerate(columns):
        figures = all(_is_figure(row[index]) for row in cells)
        table.add_column(name, justify="right" if figures else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    terminal = sys.stdout.isatty()
    Console(width=None if terminal else PIPE_WIDTH, highlight=False).print(table)


def _is_figure(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").replace("-", "").isdigit() or cell == "-"


def echo_fields(fields: Mapping[str, str]) -> None:
    """`name   value` lines, the values in one column."""
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        click.echo(f"  {name:<{width}}  {plain(value)}")


def echo_prediction(prediction: "Prediction") -> None:
    """A text, its answer with a bar, who answered, and the runners-up of the routing."""
    click.echo(plain(prediction.text, 100))
    if prediction.label is not None:
        share = prediction.probability
        sure = "" if share is None else f"{bar(share)} {share:.2f}  "
        mixed = " and ".join(f"{name} ({weight:.2f})" for name, weight in prediction.mixed.items())
        bare = f"the base model {prediction.base_model}"
        click.echo(f"  {plain(prediction.label)}  {sure}by {mixed or prediction.expert or bare}")
    if prediction.reason is not None:
        click.echo(f"  {prediction.reason}")
    if prediction.cut:
        click.echo("  longer than the limit: its end was not read, or that of the answer not written")
    from trainer.predictions import largest

    nearest = largest(prediction.weights, 4).items()
    rest = [(task, w) for task, w in nearest if task != prediction.task and w >= 0.005][:3]
    if rest:
        click.echo("  also considered: " + ", ".join(f"{plain(task)} {w:.2f}" for task, w in rest))


def next_step(command: str) -> None:
    """On stderr: the command to try next."""
    click.echo(f"Next: {command}", err=True)
