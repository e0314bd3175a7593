"""A job as a command and in Python: what asks for the same once more."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry import Job


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
