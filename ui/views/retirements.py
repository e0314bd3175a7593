"""Retirements as documents and in words."""

from typing import Any

from registry.retirements import Retired, Retirement


def as_json(reference: str, event: Retirement | None) -> dict[str, Any]:
    """What `registry retire --json` prints: the event that holds, or that there is none."""
    if event is None:
        return {"subject": reference, "retired": False, "reason": "", "actor": None, "created_at": None}
    return {
        "subject": event.subject,
        "retired": event.retired,
        "reason": event.reason,
        "actor": event.actor,
        "created_at": event.created_at.isoformat(),
    }


def document(retired: Retired, name: str) -> dict[str, Any] | None:
    """By which event a task or an expert is retired; None when it is not."""
    event = retired.of(name)
    return None if event is None else as_json(name, event)


def in_words(found: dict[str, Any] | None, name: str) -> str:
    """A `document` in a few words; a dash for what is not retired."""
    if found is None:
        return "-"
    whose = "" if found["subject"] == name else " with its task"
    reason = f": {found['reason']}" if found["reason"] else ""
    return f"{found['created_at'][:10]}{whose}{reason}"
