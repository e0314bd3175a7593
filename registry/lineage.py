"""What something came from and what uses it: a small graph that prints as a tree, as JSON, as Mermaid."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass

TRAINED_ON, MADE_BY, RUNS_ON, FOLLOWS = "trained on", "made by", "runs on", "follows"
CHOOSES, STANDS_FOR, COMBINED = "chooses among", "stands for", "combined from"
USED_BY, NAMED = "used by", "named"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One thing in a lineage."""

    id: str
    """Such as `sst2@3`, `sst2/data@2`, `run 7`, `run 7/corpus`, `router@12`, `router@production`, or a
    fingerprint."""
    kind: str
    """`expert`, `dataset`, `corpus`, `run`, `base_model`, `generation` or `alias`."""
    label: str
    """What people read in place of the id."""
    note: str
    """A few facts in words; may be empty."""

    @property
    def line(self) -> str:
        """Label and note."""
        return f"{self.label}  {self.note}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """`source` came from, or points at, `target`."""

    source: str
    target: str
    relation: str
    """`trained on`, `combined from`, `made by`, `runs on`, `follows`, `chooses among` or `stands for`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The graph around one expert or one generation."""

    root: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def __str__(self) -> str:
        return self.to_tree()

    def to_tree(self) -> str:
        """Lines for a terminal: the root, below it what it came from, then what uses it."""
        named = {node.id: node for node in self.nodes}
        came_from: dict[str, list[Edge]] = defaultdict(list)
        used_by: dict[str, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            came_from[edge.source].append(edge)
            used_by[edge.target].append(edge)

        def branches(below: list[tuple[str, str]], indent: str) -> Iterator[str]:
            for place, (relation, id) in enumerate(below):
                last = place == len(below) - 1
                yield f"{indent}{'└── ' if last else '├── '}{relation} {named[id].line}"
                yield from branches(further(relation, id), indent + ("    " if last else "│   "))

        def further(relation: str, id: str) -> list[tuple[str, str]]:
            names = [(NAMED, edge.source) for edge in used_by[id] if edge.relation == STANDS_FOR]
            if relation == USED_BY:  # What else a user was made of is its own lineage.
                return names
            ties = [(edge.relation, edge.target) for edge in came_from[id] if edge.relation != FOLLOWS]
            return [] if relation == NAMED else ties + names

        below = further("", self.root)
        # Earlier versions stand under each other, however many there are, and not each inside the next.
        follower = self.root
        while earlier := [edge.target for edge in came_from[follower] if edge.relation == FOLLOWS]:
            follower = earlier[0]
            below.append((FOLLOWS, follower))
        users = [edge.source for edge in used_by[self.root] if edge.relation in (COMBINED, CHOOSES)]
        below += [(USED_BY, id) for id in users]
        return "\n".join([named[self.root].line, *branches(below, "")])

    def to_json(self) -> str:
        """The graph as JSON: `{"root", "nodes": [{"id", "kind", "label", "note"}], "edges": [...]}`."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def to_mermaid(self) -> str:
        """A Mermaid flowchart, for Markdown that shows diagrams."""
        ids = {node.id: f"n{number}" for number, node in enumerate(self.nodes)}
        boxes = [f'    {ids[node.id]}["{_escape(node.line)}"]' for node in self.nodes]
        arrows = [
            f'    {ids[edge.source]} -->|"{_escape(edge.relation)}"| {ids[edge.target]}'
            for edge in self.edges
        ]
        return "\n".join(["flowchart LR", *boxes, *arrows])


def _escape(text: str) -> str:
    """Text that Mermaid takes as text: its own signs become entity codes."""
    return "".join(sign if sign.isalnum() or sign in " .,:@/_-()%+" else f"#{ord(sign)};" for sign in text)
