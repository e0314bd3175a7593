"""What something came from and what uses it, as a document; and where each box of the picture leads."""

from typing import Any
from urllib.parse import quote

from registry import Registry
from registry.lineage import Lineage, Node


def show_lineage(registry: Registry, ref: str) -> dict[str, Any]:
    """The graph around an expert or a generation, and the same as a tree and as a Mermaid flowchart."""
    return document(registry.lineage(ref))


def document(lineage: Lineage) -> dict[str, Any]:
    """A lineage that was read already."""
    return {
        "root": lineage.root,
        "nodes": [
            {"id": node.id, "kind": node.kind, "label": node.label, "note": node.note}
            for node in lineage.nodes
        ],
        "edges": [
            {"source": edge.source, "relation": edge.relation, "target": edge.target}
            for edge in lineage.edges
        ],
        "tree": lineage.to_tree(),
        "mermaid": lineage.to_mermaid(),
    }


def address(name: str) -> str:
    """Where the picture of a lineage is served by itself."""
    return f"/lineage/{quote(name, safe='@')}.svg"


def link(node: Node) -> str | None:
    """Where a box leads: to the lineage of what it shows, if that has one."""
    return address(node.id) if node.kind in ("expert", "generation", "alias") else None
