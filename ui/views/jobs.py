"""The queue and one job of it: how far it is, what it said, and what came of it."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ui import present

if TYPE_CHECKING:
    from registry import Job, Registry

TAIL = 20_000
"""Bytes of a job's log that are shown."""


def list_jobs(registry: "Registry", *states: str, limit: int = 50) -> list[dict[str, Any]]:
    """The newest jobs, each in a few words; a job whose worker died does not count as running."""
    registry.jobs.recover()
    return [line(job) for job in registry.jobs.list(*states, limit=limit)]


def show_job(registry: "Registry", number: int) -> dict[str, Any]:
    """Everything about one job: what was asked for, how far it is, its curve, its log, what it made."""
    from ui.views.job_calls import command, python  # Settings and columns, which lists need not wait for.

    registry.jobs.recover()
    job = registry.jobs.get(number)
    return {
        **line(job),
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "params": job.params,
        "result": job.result,
        "error": job.error,
        "curve": curve(registry, job),
        "log": log_text(registry, job.id, TAIL),
        "command": command(job),
        "python": python(job),
    }


def facts(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Of what `show_job` gives, what was asked for and what came of it."""
    return {
        name: shown[name]
        for name in ("params", "result", "error", "attempt", "max_attempts", "created", "started", "finished")
    }


def line(job: "Job") -> dict[str, Any]:
    """A job in a few words."""
    at = job.progress or {}
    total = at.get("total")
    return {
        "job": job.id,
        "kind": job.kind,
        "task": job.task,
        "state": job.state,
        "stopping": job.cancel_requested and not job.ended,
        "ended": job.ended,
        "cancellable": not job.ended and not job.cancel_requested,
        "retriable": job.retriable,
        "progress": summary(job),
        "share": at["done"] / total if total and job.state == "running" else None,
        "note": at.get("note", ""),
        "per_second": at.get("per_second") if job.state == "running" else None,
        "seconds_left": at.get("seconds_left") if job.state == "running" else None,
        "made": ", ".join(made(job.result)) or None,
        "already": (job.result or {}).get("created") is False,
        "created": _iso(job.created_at),
        "started": _iso(job.started_at),
        "finished": _iso(job.finished_at),
    }


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec="seconds")


def state_of(one: Mapping[str, Any]) -> str:
    """The state of a line, for people."""
    words = one["state"].replace("_", " ")
    return f"{words}, asked to stop" if one["stopping"] else words


def now(one: Mapping[str, Any]) -> str:
    """Where a job is, in one sentence."""
    about = f"Job {one['job']} ({one['kind'].replace('_', ' ')}) is {state_of(one)}"
    if one["state"] == "queued":
        return f"{about}; a worker takes it when it is its turn."
    said = "" if one["progress"] == "-" else f": {one['progress']}"
    note = f" ({present.plain(one['note'])})" if one["note"] and one["state"] == "running" else ""
    result = f" It made {one['made']}." if one["made"] else ""
    if one["already"]:
        result = f" There was nothing to do: that is {one['made']} already."
    return f"{about}{said}{note}".removesuffix(".") + f".{result}"


def curve(registry: "Registry", job: "Job") -> list[dict[str, Any]]:
    """What was measured after each epoch: so far, or of the expert or the mixture that was made."""
    expert = (job.result or {}).get("expert")
    if expert is not None:
        return registry.run(registry.expert(expert).run).history
    history = (job.result or {}).get("history")
    if history is not None:
        return list(history)
    return list((job.progress or {}).get("curve", []))


def log_text(registry: "Registry", number: int, most: int | None = None) -> str:
    """What the attempts at a job have printed, or the end of it: whole lines of at most `most` bytes."""
    from trainer.executors.local import log

    path = log(registry.home, number)
    if not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0 if most is None else max(0, size - most))
        text = file.read().decode("utf-8", errors="replace")
    return text if most is None or size <= most else text[text.find("\n") + 1 :]


def summary(job: "Job") -> str:
    """How far it is, or why it ended, in a few words."""
    if job.error is not None and job.state != "done":
        return present.plain(job.error["message"], 80)
    if job.progress is None or job.state == "done":
        return "-"
    stage, done, total = (job.progress[name] for name in ("stage", "done", "total"))
    left = None if job.ended else job.progress["seconds_left"]
    share = f" {done / total:.0%}" if total else ""
    return f"{stage}{share}" + (f", {present.duration(left)} left" if left is not None else "")


def made(result: Mapping[str, Any] | None) -> list[str]:
    """The experts, or the generation, that came of a job with this result."""
    found = result or {}
    several = [one["expert"] for one in found.get("added", ())]
    return [name for name in (found.get("expert"), found.get("generation"), *several) if name is not None]


def job_json(job: "Job") -> dict[str, Any]:
    """What `jobs list --json` and `jobs show --json` print of a job."""
    result = job.result or {}
    return {
        "job": job.id,
        "kind": job.kind,
        "state": job.state,
        "attempt": job.attempt,
        "progress": job.progress,
        "task": job.task,
        "expert": result.get("expert"),
        "error": job.error,
        "created": job.created_at,
        "started": job.started_at,
        "finished": job.finished_at,
        "cancel_requested": job.cancel_requested,
        "max_attempts": job.max_attempts,
        "params": job.params,
        "result": job.result,
    }
