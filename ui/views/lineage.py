"""What something came from and what uses it, as a document; and where each box of the picture leads."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from registry import Registry
from registry.lineage import Lineage, Node
from registry.names import ROUTER


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


def page(tab: str, name: str, **more: str) -> str:
    """Where the browser app shows something: its tab, opened with a name filled in."""
    return f"/?{urlencode({'tab': tab, 'name': name, **more}, safe='@/')}"


def links(root: str) -> Callable[[Node], str]:
    """Where each box of the lineage of `root` leads: to the card of what it shows.

    Experts and generations have a tab of their own; the others have their card beside the picture.
    """

    def link(node: Node) -> str:
        if node.kind == "generation" or (node.kind == "alias" and node.id.startswith(f"{ROUTER}@")):
            return page("router", node.id)
        if node.kind in ("expert", "alias"):
            return page("experts", node.id)
        return page("lineage", root, box=node.id)

    return link
