"""Every event, newest first, a page at a time."""

from collections.abc import Sequence
from typing import Any

from registry import Registry
from registry.audit import KINDS, Wanted, events
from ui.views.experts import stamp

PAGE = 100

__all__ = ["KINDS", "PAGE", "list_events"]


def list_events(
    registry: Registry,
    *,
    kinds: Sequence[str] = (),
    subject: str = "",
    actor: str = "",
    text: str = "",
    page: int = 1,
) -> dict[str, Any]:
    """Events of some kinds (all, if none is named) whose subject, actor or any text holds what is given."""
    wanted = Wanted(kinds=tuple(kinds), subject=subject.strip(), actor=actor.strip(), text=text.strip())
    page = max(1, page)
    found, total = events(registry, wanted, limit=PAGE, offset=PAGE * (page - 1))
    return {
        "page": page,
        "pages": max(1, -(-total // PAGE)),
        "total": total,
        "events": [
            {
                "at": stamp(one.at),
                "kind": one.kind,
                "subject": one.subject,
                "actor": one.actor,
                "what": one.what,
            }
            for one in found
        ],
    }
