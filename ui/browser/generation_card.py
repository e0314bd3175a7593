"""The card of a generation: its components, and what they show."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ui.browser.opening import FIELDS, filled, table
from ui.browser.pictures import file_of
from ui.browser.shared import command, same_as
from ui.plots import confusion as plot
from ui.present import number, value
from ui.views.intervals import is_share, percent, with_interval
from ui.views.routers import METRICS, column_of

GATE = ("task", "rows", "before", "after", "lost", "gained", "p", "passed")
PAIRS = ("rows of", "sent to", "rows", "share")
PAIRS_SHOWN = 200
BY_TASK = (130, 150, 150, 150)
OF_GATE = (160, 80, 90, 90, 80, 90, 90, 90)


@dataclass(frozen=True)
class Mixed:
    """What was mixed up, three times: as a picture, as a choice for the keyboard, as a table."""

    heat: gr.Image
    choice: gr.Dropdown
    pairs: gr.Dataframe


def components() -> tuple[list[gr.components.Component], Mixed]:
    """All of them, empty, in the order of `values`; and those in which somebody chooses what was mixed up."""
    with gr.Row():
        facts = table("Card", "field", "value", widths=FIELDS)
        per_task = table(
            "Test rows by task", "task", *(name.replace("_", " ") for name in METRICS), widths=BY_TASK
        )
    verdict = gr.Textbox(label="What the gate said", interactive=False)
    gate = table(
        "The gate, the largest loss first", *GATE, numbers=("rows", "lost", "gained"), height=250,
        widths=OF_GATE, empty=False,
    )  # fmt: skip
    heat = gr.Image(
        label="Where test rows were sent: click a field to read the texts",
        alt_text="Heat map of where test rows were sent; the list below tells the same in words",
        interactive=False,
        buttons=[],
        elem_classes="labelled",
    )
    heat.watermark = None  # Gradio's own, which is empty, makes it warn of every SVG.
    choice = gr.Dropdown([], label="Mixed up", info="Choose whose texts to read.", value=None)
    pairs = table("Mixed up: choose a row to read the texts", *PAIRS, numbers=("rows",), height=250)
    return [facts, per_task, verdict, gate, heat, choice, pairs, *same_as()], Mixed(heat, choice, pairs)


def values(found: Mapping[str, Any], mixed: Mapping[str, Any], pictures: Path) -> list[Any]:
    """What they show of `ui.views.routers.show_generation` and `ui.views.routing.show_confusion`.

    Args:
        pictures: folder for them; a cache.
    """
    gate = found["gate"]
    return [
        _facts(found),
        [[task, *_measures(measured)] for task, measured in found["per_task"].items()],
        _verdict(gate),
        filled([] if gate is None else _gate(gate)),
        file_of(plot.draw(mixed) if mixed["tasks"] else None, pictures),
        gr.Dropdown([_choice(pair) for pair in mixed["pairs"][:PAIRS_SHOWN]], value=None),
        [
            [pair["task"], pair["sent"], pair["rows"], percent(pair["share"])]
            for pair in mixed["pairs"][:PAIRS_SHOWN]
        ],
        command("show", found["name"]),
        f"from registry import Registry\n\nprint(Registry().generation({found['name']!r}))",
    ]


def _measures(found: Mapping[str, Any]) -> list[str]:
    """Of one task, under METRICS; scores that are not accuracies by their names."""
    cells = {}
    for name, measure in found.items():
        score = name.partition("_")[2]
        named = "" if is_share(name) else f"{score.replace('_', ' ')} "
        cells[column_of(name)] = named + with_interval(measure)
    return [cells.get(name, "-") for name in METRICS]


def line(one: Mapping[str, Any]) -> list[Any]:
    """A generation as a row of their list: of `ui.views.routers.list_generations`."""
    return [
        one["name"],
        one["router"],
        one["experts"],
        *(with_interval(one["test"].get(name)) for name in METRICS),
        f"{one['seconds']:.1f} s",
        ", ".join(one["aliases"]),
        (one["gate"] or "-").removeprefix("retrain-router: "),
        one["created_at"][:16],
    ]


def blank() -> list[Any]:
    """What they show when there is no generation."""
    return [[], [], "", filled([]), None, gr.Dropdown([], value=None), [], "", ""]


def _choice(pair: Mapping[str, Any]) -> tuple[str, str]:
    """A pair as a choice; names of tasks hold no spaces."""
    said = f"{pair['rows']:,} of {pair['task']} sent to {pair['sent']}"
    return said, f"{pair['task']} {pair['sent']}"


def _facts(found: Mapping[str, Any]) -> list[list[str]]:
    facts: dict[str, Any] = {
        "name": found["name"],
        "router": found["router"],
        "aliases": found["aliases"],
        "follows": found["parent"],
        "experts": found["experts"],
    }
    facts |= {name.replace("_", " "): with_interval(found["test"].get(name)) for name in METRICS}
    facts |= {
        "coverage": with_interval(found["test"].get("coverage")),
        "no expert fits": when_none_fits(found),
    }
    facts |= {
        "cost of the fit": f"{found['seconds']:.1f} s",
        "parameters": found["parameters"],
        "digest (SHA-256)": found["sha256"],
        "root of its manifest": found["root"],
        "made (UTC)": found["created_at"],
    }
    facts |= {f"setting {name.replace('_', ' ')}": given for name, given in found["settings"].items()}
    return [[name, value(given)] for name, given in facts.items()]


def when_none_fits(found: Mapping[str, Any]) -> str:
    """From where on no expert of a generation fits, in words."""
    fit = found["fit"]
    if "corpus" in found["settings"]:  # What a mixture learnt from.
        return "never: all of its experts answer together"
    if fit is None:
        return "never: an earlier release made it"
    if fit["threshold"] is None:
        return f"never: {fit['rows']:,} held-out rows are too few to tell"
    return (
        f"above a score of {number(fit['threshold'])}, which {percent(fit['coverage'])} of "
        f"{fit['rows']:,} held-out rows stay below"
    )


def _verdict(gate: Mapping[str, Any] | None) -> str:
    if gate is None:
        return "It was not asked."
    if gate["problem"] is not None:
        return f"Not compared: {gate['problem']}"
    if gate["against"] is None:
        return "Passed: nothing was in production to compare with."
    verdict = "Passed" if gate["passed"] else "Refused"
    points = "1 point" if gate["tolerance"] == 1 else f"{gate['tolerance']:g} points"
    return (
        f"{verdict}, against {gate['against']}: a task may lose {points}, or more where "
        f"chance explains it (p of at least {gate['level']:g})."
    )


def _gate(gate: Mapping[str, Any]) -> list[list[Any]]:
    compared = sorted(gate["tasks"], key=lambda one: (one["passed"], one["gained"] - one["lost"]))
    return [
        [
            one["task"],
            one["rows"],
            percent(one["before"]),
            percent(one["after"]) if one["answered"] else "left out",
            one["lost"],
            one["gained"],
            number(float(one["p_value"])),
            "yes" if one["passed"] else "no",
        ]
        for one in compared[:200] + ([gate["together"]] if gate["together"] else [])
    ]
