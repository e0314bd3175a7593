"""A lineage as a picture: what it came from on the left, what uses it on the right, each box a link."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from registry.lineage import Edge, Lineage, Node
from ui.plots.drawing import COLOURS, INK
from ui.plots.markup import LETTER, document, plain, tag, text

WIDE, HIGH, GAP_X, GAP_Y = 264.0, 58.0, 40.0, 12.0
EDGE, LANE = 16.0, 10.0
COLUMN = 40
"""Boxes in one column; more are counted in one box at its end."""
MARKS = {
    "expert": COLOURS[0],
    "generation": COLOURS[1],
    "dataset": COLOURS[2],
    "corpus": COLOURS[2],
    "alias": COLOURS[3],
    "base_model": COLOURS[4],
    "run": INK,
}

Link = Callable[[Node], str | None]


@dataclass(frozen=True)
class Place:
    """Where a box stands: its column, and its upper left corner."""

    column: int
    x: float
    y: float

    @property
    def middle(self) -> float:
        """The height at which arrows come and go."""
        return self.y + HIGH / 2


def svg(lineage: Lineage, link: Link = lambda node: None, *, scale: float = 1.0) -> bytes:
    """The picture; `link` gives the address that a box leads to, or None."""
    columns, hidden = _columns(lineage)
    places = {
        node.id: Place(column, _left(column), EDGE + row * (HIGH + GAP_Y))
        for column, nodes in enumerate(columns)
        for row, node in enumerate(nodes)
    }
    tallest = max(len(nodes) + (hidden[column] > 0) for column, nodes in enumerate(columns))
    below = 2 * EDGE + tallest * (HIGH + GAP_Y) - GAP_Y
    edges = [edge for edge in lineage.edges if edge.source in places and edge.target in places]
    lanes = _lanes(edges, places)
    parts = [
        *(_arrow(edge, places, lanes, below) for edge in edges),
        *(
            _box(node, places[node.id], root=node.id == lineage.root, to=link(node))
            for nodes in columns
            for node in nodes
        ),
        *_more(columns, hidden),
    ]
    width = _left(len(columns)) - GAP_X + EDGE
    title = f"Lineage of {lineage.root}"
    return document(width, below + LANE * len(lanes), parts, title, scale=scale, links=True)


def _left(column: int) -> float:
    return EDGE + column * (WIDE + GAP_X)


def _columns(lineage: Lineage) -> tuple[list[list[Node]], list[int]]:
    """The boxes of each column, and how many each leaves out. What came from something stands right of it."""
    column = _column_of_each(lineage)
    found: dict[int, list[Node]] = defaultdict(list)
    for node in lineage.nodes:
        found[column[node.id]].append(node)
    columns, hidden = [], []
    for _, nodes in sorted(found.items()):
        # The root is always there, then the newest: lineages list the oldest users first.
        nodes.sort(key=lambda node: node.id != lineage.root)
        kept = nodes if len(nodes) <= COLUMN else [nodes[0], *nodes[-(COLUMN - 1) :]]
        columns.append(kept)
        hidden.append(len(nodes) - len(kept))
    return columns, hidden


def _column_of_each(lineage: Lineage) -> dict[str, int]:
    """As far to the right as what uses a node lets it stand, so that few arrows pass by other boxes."""
    used_by: dict[str, list[str]] = defaultdict(list)
    for edge in lineage.edges:
        used_by[edge.target].append(edge.source)
    column = _depths(lineage)
    for node in sorted(column, key=column.__getitem__, reverse=True):
        if used_by[node]:
            column[node] = min(column[user] for user in used_by[node]) - 1
    return column


def _depths(lineage: Lineage) -> dict[str, int]:
    """The first column that each node can have: one more than of all that it points at."""
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


def _lanes(edges: Sequence[Edge], places: dict[str, Place]) -> dict[str, int]:
    """Arrows past a column of boxes run below all of them; those that come from one box share a lane."""
    origins = [edge.target for edge in edges if places[edge.source].column - places[edge.target].column > 1]
    return {origin: lane for lane, origin in enumerate(dict.fromkeys(origins))}


def _arrow(edge: Edge, places: dict[str, Place], lanes: dict[str, int], below: float) -> str:
    start, end = places[edge.target], places[edge.source]
    path = f"M{start.x + WIDE:.0f} {start.middle:.0f}"
    if end.column - start.column > 1:
        lane = below + LANE * lanes[edge.target] - EDGE / 2
        past, before = _left(start.column + 1), _left(end.column) - GAP_X
        path += _bend(start.x + WIDE, start.middle, past, lane) + f"H{before:.0f}"
        path += _bend(before, lane, end.x, end.middle)
    else:
        path += _bend(start.x + WIDE, start.middle, end.x, end.middle)
    label = tag("title", plain(f"{edge.source} {edge.relation} {edge.target}"))
    return tag("path", label, d=path, fill="none", stroke=INK, stroke_opacity=0.5)


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (x + to_x) / 2
    return f"C{half:.0f} {y:.0f} {half:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"


def _box(node: Node, place: Place, *, root: bool, to: str | None) -> str:
    colour, kind = MARKS.get(node.kind, INK), node.kind.replace("_", " ")
    x, y = place.x, place.y
    inner = [
        tag("title", plain(f"{kind} {node.line}")),
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
        text(_cut(node.label, 12), x + 8, y + 18, 12, font_weight=600),
        text(kind, x + 8, y + 34, 10),
        text(_cut(node.note, 9.5), x + 8, y + 49, 9.5),
    ]
    return tag("a", *inner, href=to) if to is not None else tag("g", *inner)


def _more(columns: list[list[Node]], hidden: list[int]) -> Iterator[str]:
    for column, (nodes, left_out) in enumerate(zip(columns, hidden, strict=True)):
        if left_out:
            x, y = _left(column), EDGE + len(nodes) * (HIGH + GAP_Y)
            yield text(f"and {left_out:,} earlier ones", x + 8, y + 18, 11)


def _cut(said: str, size: float) -> str:
    letters = int((WIDE - 16) / (size * LETTER))
    return said if len(said) <= letters else said[: letters - 1] + "…"
