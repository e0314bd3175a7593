"""The card of an expert: its components, and what they show."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from trainer.data.columns import answer_of
from ui.browser import progress
from ui.browser.opening import FIELDS, table
from ui.browser.pictures import frame, picture
from ui.browser.shared import command, same_as
from ui.present import rows as rows_in_order
from ui.present import size, value
from ui.views.intervals import percent, with_interval
from ui.views.retirements import in_words

PLAIN = (
    "name",
    "task",
    "kind",
    "adapter",
    "shape",
    "labels",
    "dataset",
    "base_model",
    "parent",
    "parameters",
)


def components() -> list[gr.components.Component]:
    """All of them, empty, in the order of `values`."""
    damage = gr.Textbox(label="Damaged", visible=False, interactive=False)
    with gr.Row():
        facts = table("Card", "field", "value", widths=FIELDS)
        with gr.Column():
            data = table("Data", "field", "value", height=200, widths=FIELDS)
            balance = table("Labels", "label", "rows", "share", numbers=("rows",), height=200)
    examples = table("Some of its rows", "answer", "text", "second text", widths=("20%", "50%", "30%"))
    with gr.Row():
        losses = frame("Loss by epoch")
        scores = frame("Score by epoch")
    measured = table("Measured", "when (UTC)", "split", "metric", "value (95 %)", "rows", numbers=("rows",))
    with gr.Accordion("Lineage, up and down", open=False):
        tree = gr.Textbox(label="Lineage", lines=6, interactive=False)
    return [damage, facts, data, balance, examples, losses, scores, measured, tree, *same_as()]


def blank() -> list[Any]:
    """What they show when nothing is chosen."""
    return [gr.Textbox(visible=False), [], [], [], [], picture(None), picture(None), [], "", "", ""]


def values(found: Mapping[str, Any], data: Mapping[str, Any] | str) -> list[Any]:
    """What they show of `ui.views.experts.show_expert`, and of `ui.views.rows.show_data` or its error."""
    return [
        gr.Textbox(found["damage"] or "", visible=found["damage"] is not None),
        _facts(found),
        [["problem", data]] if isinstance(data, str) else _data(data),
        [] if isinstance(data, str) else [_label(one) for one in data["labels"]],
        [] if isinstance(data, str) else [_row(one) for one in data["examples"]],
        *progress.curves(found["curve"]),
        [
            [one["at"], one["split"], one["metric"].replace("_", " "), with_interval(one), one["rows"]]
            for one in found["evaluations"]
        ],
        found["lineage"],
        command("show", found["name"]),
        f"from registry import Registry\n\nprint(Registry().expert({found['name']!r}))",
    ]


def _facts(found: Mapping[str, Any]) -> list[list[str]]:
    facts = {name.replace("_", " "): found[name] for name in PLAIN}
    facts |= {
        "size": size(found["bytes"]),
        "digest (SHA-256)": found["sha256"],
        "file": "as frozen: its digest was computed anew just now" if found["damage"] is None else "damaged",
        "test (95 %)": with_interval(found["test"]),
        "aliases": found["aliases"],
        "retired": in_words(found["retired"], found["name"]),
        "used by": found["used_by"],
        "combined from": [f"{name} x {weight:g}" for name, weight in found["combined_from"].items()],
        "earlier versions": found["earlier"],
        "trained in": f"{found['seconds']:.1f} s, seed {found['seed']}",
        "made (UTC)": found["created_at"],
    }
    facts |= {f"setting {name.replace('_', ' ')}": given for name, given in found["settings"].items()}
    return [[name, value(given)] for name, given in facts.items()]


def _data(data: Mapping[str, Any]) -> list[list[str]]:
    facts: dict[str, Any] = {"name": data["name"], "source": data["source"]}
    facts |= {f"{split} rows": count for split, count in rows_in_order(data["rows"]).items()}
    facts |= {f"characters, {name}": given for name, given in (data["characters"] or {}).items()}
    facts |= {f"column of {role}": column for role, column in data["columns"].items()}
    rows = [[name, value(given)] for name, given in facts.items()]
    if data["looked_at"] < sum(data["rows"].values()):
        rows.append(["counted", f"the first {data['looked_at']:,} rows"])
    return rows + [["noticed", finding] for finding in data["findings"]]


def _label(one: Mapping[str, Any]) -> list[Any]:
    return [one["label"], one["rows"], percent(one["share"])]


def _row(one: Mapping[str, str]) -> list[str]:
    return [answer_of(one) or "", one.get("text", ""), one.get("text_pair", "")]
