"""The queue and one job of it: how far it is, what it said, and the same as a command."""

import os
from collections.abc import Callable, Mapping
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
    made = job.result or {}
    return {
        "job": job.id,
        "kind": job.kind,
        "task": job.task,
        "state": job.state,
        "stopping": job.cancel_requested and not job.ended,
        "ended": job.ended,
        "progress": summary(job),
        "share": at["done"] / total if total and job.state == "running" else None,
        "note": at.get("note", ""),
        "per_second": at.get("per_second") if job.state == "running" else None,
        "seconds_left": at.get("seconds_left") if job.state == "running" else None,
        "made": made.get("expert") or made.get("generation"),
        "already": made.get("created") is False,
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
    made = f" It made {one['made']}." if one["made"] else ""
    if one["already"]:
        made = f" There was nothing to do: that is {one['made']} already."
    return f"{about}{said}{note}".removesuffix(".") + f".{made}"


def curve(registry: "Registry", job: "Job") -> list[dict[str, Any]]:
    """What was measured after each epoch: so far, or of the expert that was made."""
    expert = (job.result or {}).get("expert")
    if expert is not None:
        return registry.run(registry.expert(expert).run).history
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


def command(job: "Job") -> list[str]:
    """The words of a command that asks for the same, after `registry`."""
    return COMMANDS.get(job.kind, _retry)(job)


def _add_task(job: "Job") -> list[str]:
    asked = job.params
    words = _from_rows("add-task", asked)
    if asked["base_model"] is not None:
        words += ["--base-model", asked["base_model"]]
    return words + _options(asked["settings"])


def _adapt(job: "Job") -> list[str]:
    asked = job.params
    words = _from_rows("adapt", asked)
    for expert in asked["experts"] or ():
        words += ["--expert", expert]
    return words + _options({name: asked[name] for name in ("rank", "max_length")})


def _from_rows(command: str, asked: Mapping[str, Any]) -> list[str]:
    words = [command, "--data", asked["rows"]["source"], "--name", asked["task"]]
    for role, column in asked["rows"]["columns"].items():
        if role != column:
            words += [f"--{role.replace('_', '-')}", column]
    return words


def _retrain_router(job: "Job") -> list[str]:
    asked = {name: value for name, value in job.params.items() if name not in ("actor", "device")}
    words = ["retrain-router"]
    for expert in asked.pop("experts") or ():
        words += ["--expert", expert]
    if asked.pop("passes", "one") == "two":
        words.append("--two-pass")
    promote = asked.pop("promote", None)
    if promote is not None:
        words.append("--promote" if promote else "--no-promote")
    return words + _options(asked)


def _evaluate(job: "Job") -> list[str]:
    asked = job.params
    words = ["evaluate", asked["ref"], "--split", asked["split"]]
    return words if asked["rows"] is None else [*words, "--data", asked["rows"]["source"]]


def _retry(job: "Job") -> list[str]:
    return ["jobs", "retry", str(job.id)]


COMMANDS: dict[str, Callable[["Job"], list[str]]] = {
    "adapt": _adapt,
    "add_task": _add_task,
    "evaluate": _evaluate,
    "retrain_router": _retrain_router,
}


def _options(settings: Mapping[str, Any]) -> list[str]:
    words = []
    for name, value in settings.items():
        if value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [f"{value}"])]
    return words


def python(job: "Job") -> str:
    """Python that asks for the same."""
    return PYTHON.get(job.kind, _python_retry)(job)


def _python_add_task(job: "Job") -> str:
    asked = job.params
    given = _given(asked, "base_model")
    settings = ", ".join(f"{name}={value!r}" for name, value in asked["settings"].items())
    source = repr(asked["rows"]["source"])
    return _program(
        "from trainer import ExpertSettings, add_task",
        f"added = add_task(registry, {source}{given}, settings=ExpertSettings({settings}))",
        "print(added.expert.name, added.metrics)",
    )


def _python_adapt(job: "Job") -> str:
    asked = job.params
    source, given = repr(asked["rows"]["source"]), _given(asked, "experts", "rank", "max_length")
    return _program(
        "from trainer import adapt",
        f"adapted = adapt(registry, {source}{given})",
        "print(adapted.expert.name, adapted.combined_from)",
    )


def _given(asked: Mapping[str, Any], *names: str) -> str:
    """The task's name, the columns, and what else of `asked` is not None, as arguments of a call."""
    columns = {role: column for role, column in asked["rows"]["columns"].items() if role != column}
    wanted = {"name": asked["task"], **{name: asked[name] for name in names}, **columns}
    return "".join(f", {name}={value!r}" for name, value in wanted.items() if value is not None)


def _python_retrain_router(job: "Job") -> str:
    asked = {name: value for name, value in job.params.items() if value is not None and name != "actor"}
    given = "".join(f", {name}={value!r}" for name, value in asked.items())
    return _program(
        "from trainer import retrain_router",
        f"fitted = retrain_router(registry{given})",
        "print(fitted.generation.name, fitted.metrics)",
    )


def _python_evaluate(job: "Job") -> str:
    asked = job.params
    data = "" if asked["rows"] is None else f", data={asked['rows']['source']!r}"
    return _program(
        "from trainer import evaluate",
        f"print(evaluate(registry, {asked['ref']!r}, split={asked['split']!r}{data}).metrics)",
    )


def _python_retry(job: "Job") -> str:
    return _program(None, f"registry.jobs.retry({job.id})")


PYTHON: dict[str, Callable[["Job"], str]] = {
    "adapt": _python_adapt,
    "add_task": _python_add_task,
    "evaluate": _python_evaluate,
    "retrain_router": _python_retrain_router,
}


def _program(imported: str | None, *lines: str) -> str:
    head = ["from registry import Registry", *([imported] if imported else [])]
    return "\n".join([*head, "", "with Registry() as registry:", *(f"    {one}" for one in lines)]) + "\n"


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


def made(job: "Job") -> list[str]:
    """The experts, or the generation, that came of it."""
    result = job.result or {}
    several = [one["expert"] for one in result.get("added", ())]
    return [name for name in (result.get("expert"), result.get("generation"), *several) if name is not None]


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
