"""The promotion gate's verdict as text: who lost what. Works on its JSON form."""

from collections.abc import Mapping
from typing import Any

import click

from ui import present

COLUMNS = ("task", "rows", "before", "after", "lost", "gained", "p", "verdict")


def echo(gate: Mapping[str, Any]) -> None:
    """One line when nothing was lost, else a table of the tasks that lost rows, the worst first."""
    if gate["problem"] is not None:
        click.echo(f"  gate        not compared: {present.plain(gate['problem'])}")
        return
    if gate["against"] is None:
        click.echo("  gate        passed: nothing was in production to compare with")
        return
    if gate["together"] is None:
        click.echo(f"  gate        passed: every task of {gate['against']} is retired")
        return
    compared = f"{len(gate['tasks']):,} tasks, {gate['together']['rows']:,} held-out rows"
    click.echo(f"  gate        {summary(gate)}, against {gate['against']} on {compared}")
    losers = [one for one in gate["tasks"] if not one["passed"] or one["points"] > 0]
    if losers:
        shown = sorted(losers, key=lambda one: (one["passed"], -one["points"]))
        present.echo_table(COLUMNS, [_row(one, gate) for one in [*shown, gate["together"]]])


def summary(gate: Mapping[str, Any] | None) -> str:
    """A word or two: for lists."""
    if gate is None:
        return "-"
    if gate["passed"]:
        return "passed"
    if gate["problem"] is not None:
        return "not compared"
    return "refused: " + ", ".join(present.plain(task) for task in gate["failed"])


def _row(one: Mapping[str, Any], gate: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        one["task"],
        f"{one['rows']:,}",
        present.number(float(one["before"])),
        present.number(float(one["after"])),
        f"{one['lost']:,}",
        f"{one['gained']:,}",
        present.number(float(one["p_value"])),
        _verdict(one, gate),
    )


def _verdict(one: Mapping[str, Any], gate: Mapping[str, Any]) -> str:
    points = one["points"]
    if not one["answered"]:
        return "left out"
    if not one["passed"]:
        return f"lost {points:.1f} points"
    if points > gate["tolerance"]:
        return f"{points:.1f} points, may be chance"
    return "within tolerance"
