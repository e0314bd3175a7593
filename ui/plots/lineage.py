"""A lineage as a picture: what it came from on the left, what uses it on the right, each box a link."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from registry.lineage import Edge, Lineage, Node
from ui.plots.drawing import COLOURS, INK
from ui.plots.markup import LETTER, document, plain, tag, text

WIDE, HIGH, GAP_X, GAP_Y = 240.0, 46.0, 70.0, 12.0
LETTERS = int((WIDE - 16) / (11 * LETTER))
COLUMN = 40
"""Boxes in one column; more are counted in one box at its end."""
MARKS = {
    "expert": COLOURS[0],
    "generation": COLOURS[1],
    "dataset": COLOURS[2],
    "alias": COLOURS[3],
    "base_model": COLOURS[4],
    "run": INK,
}

Link = Callable[[Node], str | None]


def svg(lineage: Lineage, link: Link = lambda node: None) -> bytes:
    """The picture; `link` gives the address that a box leads to, or None."""
    columns, hidden = _columns(lineage)
    places = {
        node.id: (16.0 + column * (WIDE + GAP_X), 16 + row * (HIGH + GAP_Y))
        for column, nodes in enumerate(columns)
        for row, node in enumerate(nodes)
    }
    tallest = max(len(nodes) + (hidden[column] > 0) for column, nodes in enumerate(columns))
    parts = [
        *_arrows(lineage.edges, places),
        *(
            _box(node, *places[node.id], root=node.id == lineage.root, to=link(node))
            for nodes in columns
            for node in nodes
        ),
        *_more(columns, hidden),
    ]
    width = 32 + len(columns) * (WIDE + GAP_X) - GAP_X
    return document(width, 32 + tallest * (HIGH + GAP_Y) - GAP_Y, parts, f"Lineage of {lineage.root}")


def _columns(lineage: Lineage) -> tuple[list[list[Node]], list[int]]:
    """The boxes of each column, and how many each leaves out. What came from something stands right of it."""
    depth = _depths(lineage)
    found: dict[int, list[Node]] = defaultdict(list)
    for node in lineage.nodes:
        found[depth[node.id]].append(node)
    columns, hidden = [], []
    for _, nodes in sorted(found.items()):
        # The root is always there, then the newest: lineages list the oldest users first.
        nodes.sort(key=lambda node: node.id != lineage.root)
        kept = nodes if len(nodes) <= COLUMN else [nodes[0], *nodes[-(COLUMN - 1) :]]
        columns.append(kept)
        hidden.append(len(nodes) - len(kept))
    return columns, hidden


def _depths(lineage: Lineage) -> dict[str, int]:
    """The column of each node: one more than of all that it points at."""
    points: dict[str, list[str]] = defaultdict(list)
    for edge in lineage.edges:
        points[edge.source].append(edge.target)
    depth: dict[str, int] = {}
    for start in (node.id for node in lineage.nodes):
        open_ones = [start]
        while open_ones:
            node = open_ones[-1]
            waiting = [target for target in points[node] if target not in depth]
            if waiting:
                open_ones += waiting
            else:
                depth[node] = max((depth[target] + 1 for target in points[node]), default=0)
                open_ones.pop()
    return depth


def _arrows(edges: tuple[Edge, ...], places: dict[str, tuple[float, float]]) -> Iterator[str]:
    for edge in edges:
        if edge.source not in places or edge.target not in places:
            continue
        (x, y), (to_x, to_y) = places[edge.target], places[edge.source]
        x, y, to_y = x + WIDE, y + HIGH / 2, to_y + HIGH / 2
        bend = (to_x - x) / 2
        path = f"M{x:.0f} {y:.0f}C{x + bend:.0f} {y:.0f} {to_x - bend:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
        label = tag("title", plain(f"{edge.source} {edge.relation} {edge.target}"))
        yield tag("path", label, d=path, fill="none", stroke=INK, stroke_opacity=0.45)


def _box(node: Node, x: float, y: float, *, root: bool, to: str | None) -> str:
    colour = MARKS.get(node.kind, INK)
    inner = [
        tag("title", plain(f"{node.kind.replace('_', ' ')} {node.line}")),
        tag(
            "rect",
            x=x,
            y=y,
            width=WIDE,
            height=HIGH,
            rx=6,
            fill=colour,
            fill_opacity=0.16 if root else 0.05,
            stroke=colour,
            stroke_width=2.5 if root else 1.2,
        ),
        text(_cut(node.label, LETTERS - 2), x + 8, y + 18, 12, font_weight=600),
        text(_cut(f"{node.kind.replace('_', ' ')} {node.note}".strip(), LETTERS), x + 8, y + 35, 10),
    ]
    return tag("a", *inner, href=to) if to is not None else tag("g", *inner)


def _more(columns: list[list[Node]], hidden: list[int]) -> Iterator[str]:
    for column, (nodes, left_out) in enumerate(zip(columns, hidden, strict=True)):
        if left_out:
            x, y = 16 + column * (WIDE + GAP_X), 16 + len(nodes) * (HIGH + GAP_Y)
            yield text(f"and {left_out:,} earlier ones", x + 8, y + 18, 11)


def _cut(said: str, letters: int) -> str:
    return said if len(said) <= letters else said[: letters - 1] + "…"
