"""Add a task: files, what they were understood to be, how they become experts, and then the work."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from registry import Job
from registry.errors import DataRefusedError, InvalidSettingError, NotFoundError
from trainer.jobs import adapt as combining
from trainer.jobs import add_task as training
from trainer.jobs import add_tasks as training_several
from trainer.jobs import retrain_router as fitting
from trainer.settings import ExpertSettings
from ui.browser import found
from ui.browser.context import Context
from ui.browser.endpoints import ONE_AND_HELD_OUT, SEVERAL, file_endpoint
from ui.browser.opening import when_opened
from ui.browser.progress import LOOK, Panel
from ui.browser.shared import warns
from ui.browser.task_form import COMBINE, TRAIN, Filled, Form, base_info
from ui.views import adding as view
from ui.views import jobs

TITLE = "Add a task"
PLACE = 50


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def queue(self, filled: Filled, request: gr.Request) -> int:
        """Queue what the form asks for; the number of its job."""
        if not filled.files:
            raise NotFoundError("there is no file yet: choose one")
        wrong = found.unfit(filled)
        if wrong is not None:
            raise InvalidSettingError(wrong)
        file = filled.files[0]
        named: dict[str, Any] = {"name": filled.name or None}
        if filled.way == COMBINE:
            return int(self.adapt(file, request, **named, **filled.columns, **filled.combining)["job"])
        base = found.base_of(self.context, filled)
        asked: dict[str, Any] = {"base_model": base, "settings": filled.settings}
        asked |= filled.columns
        if filled.several:
            return int(self.add_tasks(list(filled.files), request, **asked)["job"])
        return int(self.add_task(file, request, **(named | filled.held_out | asked))["job"])

    def add_task(
        self,
        file: str,
        request: gr.Request,
        *,
        name: str | None = None,
        base_model: str | None = None,
        kind: str | None = None,
        text: str | None = None,
        text_pair: str | None = None,
        label: str | None = None,
        settings: dict[str, Any] | None = None,
        validation: str | None = None,
        test: str | None = None,
    ) -> dict[str, Any]:
        """Queue the training of an expert on a file of rows, with files of validation and test rows if there
        are any. Options: name, base_model, kind, the columns text, text_pair and label, and settings (fields
        of ExpertSettings). Gives the job."""
        self.context.require(request)
        columns = {"kind": kind, "text": text, "text_pair": text_pair, "label": label}
        asked: dict[str, Any] = {"name": name, "base_model": base_model, "settings": settings, **columns}
        held_out = {"validation": validation, "test": test}
        return self._submit(training.submit, file, {**asked, **held_out}, validation, test)

    def add_tasks(
        self,
        files: list[str],
        request: gr.Request,
        *,
        base_model: str | None = None,
        kind: str | None = None,
        text: str | None = None,
        text_pair: str | None = None,
        label: str | None = None,
        settings: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Queue the training of an expert on each of several files of rows, called as the files, in one job.
        Options: as of add_task, but no name. Gives the job."""
        self.context.require(request)
        columns = {"kind": kind, "text": text, "text_pair": text_pair, "label": label}
        asked: dict[str, Any] = {"base_model": base_model, "settings": settings, **columns}
        return self._submit(training_several.submit, files, asked)

    def adapt(
        self,
        file: str,
        request: gr.Request,
        *,
        name: str | None = None,
        kind: str | None = None,
        text: str | None = None,
        text_pair: str | None = None,
        label: str | None = None,
        experts: list[str] | None = None,
        rank: int | None = None,
        max_length: int = ExpertSettings.max_length,
    ) -> dict[str, Any]:
        """Queue the combining of experts into one by a file of 8 to 64 rows. Options: name, kind, the columns
        text, text_pair and label, experts that may be combined, rank and max_length. Gives the job."""
        self.context.require(request)
        columns = {"kind": kind, "text": text, "text_pair": text_pair, "label": label}
        shape = {"experts": experts or None, "rank": rank, "max_length": max_length}
        return self._submit(combining.submit, file, {"name": name, **shape, **columns})

    def _submit(
        self, submit: Any, data: str | list[str], asked: Mapping[str, Any], *others: str | None
    ) -> dict[str, Any]:
        """Asks for it; `others`: files that an error may be about beside `data`."""
        try:
            job: Job = submit(self.context.registry(), data, device=self.context.device, **asked)
        except DataRefusedError as error:
            paths = [data] if isinstance(data, str) else data
            raise DataRefusedError(view.told_by_name(error, *paths, *others)) from None
        return jobs.line(job)

    def preview_task(
        self,
        file: str,
        request: gr.Request,
        *,
        kind: str | None = None,
        text: str | None = None,
        text_pair: str | None = None,
        label: str | None = None,
        few: bool = False,
        validation: str | None = None,
        test: str | None = None,
    ) -> dict[str, Any]:
        """Read a file as `add_task` would, or, with `few`, as `adapt` would: head, labels, splits, what was
        noticed, or why it is refused."""
        columns = {"text": text, "text_pair": text_pair, "label": label}
        shown = view.document(view.look(file, kind, few=few, **columns, validation=validation, test=test))
        return {**shown, "report": view.report(shown)}

    def fit_router(self, request: gr.Request) -> int:
        """Queue a router fit over the newest experts; the number of its job."""
        user = self.context.require(request)
        return fitting.submit(self.context.registry(), device=self.context.device, actor=user).id

    def running(self, number: float | None) -> int | None:
        """The job to follow: the one that was queued here, or what somebody's training waits for or does."""
        if number:
            return int(number)
        going = jobs.list_jobs(self.context.registry(), "queued", "running", "needs_recovery")
        return next((one["job"] for one in going), None)


def build(context: Context) -> None:
    """File, settings, work, router."""
    tab = Tab(context)
    form = Form.build()
    add = gr.Button(found.WAYS[TRAIN], variant="primary", interactive=False)
    gr.Markdown("### 3. Work")
    panel = Panel.build(typed=False)
    panel.connect(context)
    fit = gr.Button("Fit the router over all experts")
    _preview(tab, form, add)
    _queue(tab, form, add, fit, panel.number)
    _follow(tab, form, panel)
    for function in (tab.preview_task, tab.add_task):
        file_endpoint(function.__name__, function, takes=ONE_AND_HELD_OUT)
    file_endpoint("add_tasks", tab.add_tasks, takes=SEVERAL)
    file_endpoint("adapt", tab.adapt)


def _preview(tab: Tab, form: Form, add: gr.Button) -> None:
    """Says what the file and the settings lead to, as soon as they are there."""

    @warns()
    def look(*given: Any) -> list[Any]:
        return found.look(form.read(given))

    def naming(*given: Any) -> str:
        return found.naming(tab.context, form.read(given))

    def price(*given: Any) -> str:
        return found.cost(tab.context, form.read(given))

    # What was said last is what counts: by default it is passed over while an answer is on its way.
    last: dict[str, Any] = {"api_visibility": "private", "trigger_mode": "always_last"}
    quiet = {**last, "show_progress": "hidden"}
    source = form.source
    columns, uploads = source.columns, [source.files, source.validation, source.test]
    shown = [form.report, form.head, *columns[1:], form.train, form.combine, source.splits, add]
    changed = [one.change for one in (*uploads, form.way)]
    asks = [*changed, *(one.input for one in columns)]
    gr.on(asks, look, form.parts, shown, **last)
    # The page never writes a name: that would take away what somebody is just typing.
    gr.on([source.files.change, form.name.change], naming, form.parts, form.leads, **quiet)
    settings = [form.base, *form.settings.values(), *form.combining.values()]
    gr.on([*asks, *(one.change for one in settings)], price, form.parts, form.cost, **quiet)


def _queue(tab: Tab, form: Form, add: gr.Button, fit: gr.Button, number: gr.Number) -> None:
    @warns()
    def queue(request: gr.Request, *given: Any) -> int:
        return tab.queue(form.read(given), request)

    @warns()
    def fit_router(request: gr.Request) -> int:
        return tab.fit_router(request)

    add.click(queue, form.parts, number, api_visibility="private")
    fit.click(fit_router, None, number, api_visibility="private")


def _follow(tab: Tab, form: Form, panel: Panel) -> None:
    """Looks at the job every two seconds, once the tab has been opened."""
    timer, number = gr.Timer(LOOK, active=False), panel.number

    @warns()
    def opened(number: float | None) -> list[Any]:
        registry = tab.context.registry()
        specs = view.base_models(registry)
        # As with the name, the page writes nothing where somebody may be typing: it says what empty means.
        bases = gr.Dropdown(specs, info=base_info(specs[0]))
        experts = gr.Dropdown([expert.name for expert in registry.experts()])
        return [gr.Timer(active=True), tab.running(number), bases, experts]

    def follow(number: float | None, seen: Any) -> list[Any]:
        return panel.values(tab.context, number, seen)

    when_opened(opened, [number], [timer, number, form.base, form.combining["experts"]])
    gr.on(
        [timer.tick, number.change], follow, [number, panel.seen], panel.parts, trigger_mode="once",
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip
