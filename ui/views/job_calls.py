"""A job as a command and in Python: what asks for the same once more."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trainer.data.columns import OPTIONS
from trainer.settings import READ
from ui.views.programs import program

if TYPE_CHECKING:
    from registry import Job


def command(job: "Job") -> list[str]:
    """The words of a command that asks for the same, after `registry`."""
    return COMMANDS.get(job.kind, _retry)(job)


def _add_task(job: "Job") -> list[str]:
    asked = job.params
    words = _from_rows("add-task", asked) + _options(_held_out(asked))
    if asked["base_model"] is not None:
        words += ["--base-model", asked["base_model"]]
    return words + _options(asked["settings"])


def _held_out(asked: Mapping[str, Any]) -> dict[str, str]:
    """The files of validation and test rows, in this order; those on record are in that of their names."""
    files = asked.get("files", {})
    return {split: files[split] for split in ("validation", "test") if split in files}


def _add_tasks(job: "Job") -> list[str]:
    asked, rows = job.params, _each_rows(job)
    words = ["add-task"]
    for one in rows:
        words += ["--data", one["source"]]
    words += _options(_columns(*rows))
    if asked["base_model"] is not None:
        words += ["--base-model", asked["base_model"]]
    return words + _options(asked["settings"])


def _each_rows(job: "Job") -> list[Mapping[str, Any]]:
    return [one["rows"] for one in job.params["tasks"]]


def _adapt(job: "Job") -> list[str]:
    asked = job.params
    words = _from_rows("adapt", asked)
    for expert in asked["experts"] or ():
        words += ["--expert", expert]
    return words + _options({name: asked[name] for name in ("rank", "max_length")})


def _from_rows(command: str, asked: Mapping[str, Any]) -> list[str]:
    words = [command, "--data", asked["rows"]["source"], "--name", asked["task"]]
    return words + _options(_columns(asked["rows"]))


def _columns(*files: Mapping[str, Any]) -> dict[str, str]:
    """The options that name the columns of some files, where these are not called as their roles."""
    common = set.intersection(*({*rows["columns"].items()} for rows in files))
    names = dict(common)
    found = {role: names[role] for role in OPTIONS if names.get(role, role) != role}
    # The column of a target is named as that of a label is, so the kind has to say which of them it is.
    kind = {"kind": files[0]["kind"]} if any(OPTIONS[role] != role for role in found) else {}
    return {**kind, **{OPTIONS[role]: column for role, column in found.items()}}


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


def _train_mixture(job: "Job") -> list[str]:
    asked = job.params
    words = ["train-mixture", "--data", asked["rows"]["source"], "--experts", *asked["experts"]]
    return words + _options(_corpus_columns(job)) + _options(asked["settings"])


def _corpus_columns(job: "Job") -> dict[str, str]:
    """Without that of targets, which is found by its name alone."""
    rows = job.params["rows"]
    return {name: column for name, column in _columns(rows).items() if name in rows["columns"]}


def _evaluate(job: "Job") -> list[str]:
    asked = job.params
    words = ["evaluate", asked["ref"], "--split", asked["split"]]
    return words if asked["rows"] is None else [*words, "--data", asked["rows"]["source"]]


def _retry(job: "Job") -> list[str]:
    return ["jobs", "retry", str(job.id)]


COMMANDS: dict[str, Callable[["Job"], list[str]]] = {
    "adapt": _adapt,
    "add_task": _add_task,
    "add_tasks": _add_tasks,
    "evaluate": _evaluate,
    "retrain_router": _retrain_router,
    "train_mixture": _train_mixture,
}


def _options(settings: Mapping[str, Any]) -> list[str]:
    words = []
    for name, value in settings.items():
        if value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [_word(value)])]
    return words


def _word(value: Any) -> str:
    """A value as an option takes it: names with commas between them, options with semicolons."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}={one}" for name, one in value.items())
    return ",".join(value) if isinstance(value, list) else f"{value}"


def python(job: "Job") -> str:
    """Python that asks for the same."""
    return PYTHON.get(job.kind, _python_retry)(job)


def _python_add_task(job: "Job") -> str:
    asked = job.params
    given = _given(asked, "base_model") + _arguments(**_held_out(asked))
    source = repr(asked["rows"]["source"])
    return program(
        f"added = add_task(registry, {source}{given}, settings={_settings('ExpertSettings', asked)})",
        "print(added.expert.name, added.metrics)",
        imported="from trainer import ExpertSettings, add_task",
    )


def _python_add_tasks(job: "Job") -> str:
    asked, rows = job.params, _each_rows(job)
    sources = [one["source"] for one in rows]
    given = _arguments(base_model=asked["base_model"], **_columns(*rows))
    return program(
        f"added = add_tasks(registry, {sources!r}{given}, settings={_settings('ExpertSettings', asked)})",
        "print([one.expert.name for one in added])",
        imported="from trainer import ExpertSettings, add_tasks",
    )


def _settings(kind: str, asked: Mapping[str, Any]) -> str:
    read = {
        name: READ[name](value) if name in READ and value is not None else value
        for name, value in asked["settings"].items()
    }
    return f"{kind}({', '.join(f'{name}={value!r}' for name, value in read.items())})"


def _python_train_mixture(job: "Job") -> str:
    asked = job.params
    given = _arguments(experts=asked["experts"], **_corpus_columns(job))
    source, settings = repr(asked["rows"]["source"]), _settings("MixtureSettings", asked)
    return program(
        f"made = train_mixture(registry, {source}{given}, settings={settings})",
        "print(made.generation.name, made.metrics)",
        imported="from trainer import MixtureSettings, train_mixture",
    )


def _python_adapt(job: "Job") -> str:
    asked = job.params
    source, given = repr(asked["rows"]["source"]), _given(asked, "experts", "rank", "max_length")
    return program(
        f"adapted = adapt(registry, {source}{given})",
        "print(adapted.expert.name, adapted.combined_from)",
        imported="from trainer import adapt",
    )


def _given(asked: Mapping[str, Any], *names: str) -> str:
    """The task's name, the columns, and what else of `asked` is not None, as arguments of a call."""
    return _arguments(name=asked["task"], **{name: asked[name] for name in names}, **_columns(asked["rows"]))


def _arguments(**given: Any) -> str:
    return "".join(f", {name}={value!r}" for name, value in given.items() if value is not None)


def _python_retrain_router(job: "Job") -> str:
    asked = {name: value for name, value in job.params.items() if value is not None and name != "actor"}
    given = "".join(f", {name}={value!r}" for name, value in asked.items())
    return program(
        f"fitted = retrain_router(registry{given})",
        "print(fitted.generation.name, fitted.metrics)",
        imported="from trainer import retrain_router",
    )


def _python_evaluate(job: "Job") -> str:
    asked = job.params
    data = "" if asked["rows"] is None else f", data={asked['rows']['source']!r}"
    return program(
        f"print(evaluate(registry, {asked['ref']!r}, split={asked['split']!r}{data}).metrics)",
        imported="from trainer import evaluate",
    )


def _python_retry(job: "Job") -> str:
    return program(f"registry.jobs.retry({job.id})")


PYTHON: dict[str, Callable[["Job"], str]] = {
    "adapt": _python_adapt,
    "add_task": _python_add_task,
    "add_tasks": _python_add_tasks,
    "evaluate": _python_evaluate,
    "retrain_router": _python_retrain_router,
    "train_mixture": _python_train_mixture,
}
