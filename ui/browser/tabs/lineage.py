"""Lineage: what an expert or a generation came from, and what uses it."""

from typing import Any
from xml.sax.saxutils import quoteattr

import gradio as gr

from registry.errors import NotFoundError
from registry.lineage import Lineage
from ui.browser.context import Context
from ui.browser.endpoints import endpoint
from ui.browser.opening import FIELDS, clicked, linked, table, when_opened
from ui.browser.shared import beside, command, heading, same_as, warns
from ui.cards import card
from ui.plots import lineage as plot
from ui.present import value
from ui.views.lineage import address, document, links, show_lineage

TITLE = "Lineage"
PLACE = 70
SHORT = 12
"""Letters of a fingerprint that tell base models apart."""
BOXES = (190, 110, 290)
MOST = 200
"""Boxes in the table and lines of the tree: with thousands the page would be busy for seconds."""
EMPTY = "There is nothing to trace yet. Add a first task in the tab *Add a task*; its lineage will be here."


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def open(self, root: str, size: float, request: gr.Request) -> Any:
        """What was shown last, else what the address of the page names, else the generation in production,
        else any expert."""
        wanted = linked(request, "lineage")
        box = linked(request, "lineage", "box") if root in ("", wanted) else ""
        return self.show(root or wanted, size, box)

    @warns()
    def show(self, name: str, size: float = 100, box: str = "") -> Any:
        """The picture, its boxes as a table, the card of its root or of a box, and the same as a command;
        without a name, that of the generation in production, else of any expert."""
        name = name.strip() or self._first()
        if not name:
            return ["", EMPTY, "", gr.Column(visible=False), [], [], "", "", ""]
        registry = self.context.registry()
        graph = registry.lineage(name)
        found = document(graph)
        root = found["root"]
        return [
            root,
            f"{heading(f'Lineage of {root}')}\nEach box leads to its card. "
            f"[Open the picture by itself]({address(root)})." + _left_out(len(found["nodes"])),
            _drawn(graph, size),
            gr.Column(visible=True),
            [_box(node) for node in found["nodes"][:MOST]],
            self._box_card(box or root),
            _head(found["tree"]),
            command("lineage", root),
            f"from registry import Registry\n\nprint(Registry().lineage({root!r}))",
        ]

    @warns()
    def card_of(self, event: gr.SelectData) -> list[list[str]]:
        """The card of a box that was chosen in the table."""
        return self._box_card(clicked(event))

    @warns()
    def zoom(self, root: str, size: float) -> str:
        """The picture in another size."""
        return _drawn(self.context.registry().lineage(root), size) if root else ""

    def _box_card(self, name: str) -> list[list[str]]:
        if name.startswith("run "):
            number, _, corpus = name.removeprefix("run ").partition("/")
            run = self.context.registry().run(int(number))
            if corpus:
                return [["corpus", name], *_flat(run.settings["corpus"])]
            return [
                ["run", name],
                *_flat({"settings": run.settings, "seed": run.seed, "versions": run.versions}),
            ]
        return self._card(name)

    def _card(self, name: str) -> list[list[str]]:
        registry = self.context.registry()
        task, is_data, version = name.partition("/data@")
        if is_data:
            dataset = registry.dataset(task, int(version))
            facts: dict[str, Any] = {
                "name": dataset.name,
                "rows": dataset.rows,
                "labels": list(dataset.labels),
                "columns": dataset.columns,
                "source": dataset.source,
                "sha256": dataset.sha256,
            }
            return _flat(facts)
        for base in registry.base_models():
            if len(name) >= SHORT and base.fingerprint.startswith(name):
                return _flat(
                    {
                        "name": base.name,
                        "spec": base.spec,
                        "layers": base.layers,
                        "fingerprint": base.fingerprint,
                    }
                )
        return _flat({key: given for key, given in card(registry, name).items() if key != "gate"})

    def _first(self) -> str:
        registry = self.context.registry()
        try:
            return registry.generation().name
        except NotFoundError:
            return next((expert.name for expert in registry.experts()), "")

    def show_lineage(self, name: str) -> dict[str, Any]:
        """The graph around an expert or a generation: nodes, edges, a tree, a Mermaid flowchart."""
        return show_lineage(self.context.registry(), name)


def build(context: Context) -> None:
    """A name, the picture, its boxes, and the card of one."""
    tab = Tab(context)
    with beside():
        name = gr.Textbox(
            label="Expert or generation",
            info="Empty: the generation in production.",
            placeholder="sst2@3, router@12, router@production",
            max_lines=1,
        )
        go = gr.Button("Show", scale=0)
    said = gr.Markdown(EMPTY)
    with gr.Column(visible=False) as whole:
        size = gr.Slider(25, 300, 100, step=25, label="Size of the picture (%)", info="A large one scrolls.")
        # The picture is markup of ours, in which every name is escaped: `ui.plots.markup`.
        graph = gr.Markdown(sanitize_html=False, latex_delimiters=[])
        with gr.Row():
            nodes = table("Boxes: choose one to see its card", "name", "kind", "about", widths=BOXES)
            facts = table("Card", "field", "value", widths=FIELDS)
        with gr.Accordion("As a tree", open=False):
            tree = gr.Textbox(label="Tree", lines=8, interactive=False)
        shell, python = same_as()
    # What is shown is kept apart from the box: written into it, it would take away what somebody is typing.
    root = gr.State("")
    shown = [root, said, graph, whole, nodes, facts, tree, shell, python]
    when_opened(tab.open, [root, size], shown)
    gr.on([go.click, name.submit], tab.show, [name, size], shown, api_visibility="private")
    size.release(tab.zoom, [root, size], graph, api_visibility="private", show_progress="hidden")
    nodes.select(tab.card_of, None, facts, api_visibility="private")
    endpoint("show_lineage", tab.show_lineage)


def _drawn(graph: Lineage, size: float) -> str:
    """The picture inside the page, its boxes links; it scrolls where it is larger than its place."""
    name = quoteattr(f"Lineage of {graph.root}, a picture that scrolls")
    svg = plot.svg(graph, links(graph.root), scale=size / 100).decode("utf-8")
    return f'<div class="drawn" role="region" tabindex="0" aria-label={name}>{svg}</div>'


def _left_out(boxes: int) -> str:
    if boxes <= MOST:
        return ""
    return f" The table has the first {MOST:,} of {boxes:,}; `registry lineage NAME` tells them all."


def _head(tree: str) -> str:
    lines = tree.split("\n")
    more = len(lines) - MOST
    return tree if more <= 0 else "\n".join([*lines[:MOST], f"and {more:,} lines more"])


def _box(node: dict[str, str]) -> list[str]:
    name, note = node["id"], node["note"]
    if node["kind"] == "base_model":
        name, note = name[:SHORT], node["label"]
    elif node["kind"] == "corpus":
        note = f"{node['label']}: {note}"
    return [name, node["kind"].replace("_", " "), note]


def _flat(values: dict[str, Any], prefix: str = "") -> list[list[str]]:
    rows: list[list[str]] = []
    for key, given in values.items():
        if isinstance(given, dict):
            rows += _flat(given, f"{prefix}{key}.")
        else:
            rows.append([prefix + key, value(given)])
    return rows
