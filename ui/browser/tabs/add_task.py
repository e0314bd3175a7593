"""Add a task: a file, what it was understood to be, how it becomes an expert, and then the work."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from registry import Job
from registry.errors import DataRefusedError, NotFoundError, RegistryError
from trainer.jobs import adapt as combining
from trainer.jobs import add_task as training
from trainer.jobs import retrain_router as fitting
from trainer.settings import ExpertSettings, settings_of
from ui.browser.context import Context
from ui.browser.endpoints import file_endpoint
from ui.browser.opening import when_opened
from ui.browser.progress import LOOK, Panel
from ui.browser.shared import one_line, warns
from ui.browser.task_form import BY_NAME, COMBINE, TRAIN, Filled, Form
from ui.views import adding as view
from ui.views import jobs

TITLE = "Add a task"
PLACE = 50
WAYS = {TRAIN: "Train an expert", COMBINE: "Combine experts"}
"""What the button says."""


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def look(self, filled: Filled) -> list[Any]:
        """What a file was understood to be, and the settings of the way that was chosen."""
        train = filled.way == TRAIN
        arranged = [gr.Column(visible=train), gr.Column(visible=not train)]
        if filled.file is None:
            button = gr.Button(WAYS[filled.way], interactive=False)
            return ["", gr.Dataframe(visible=False), *[gr.skip()] * 3, *arranged, button]
        shown = view.document(view.look(filled.file, few=not train, **filled.columns))
        # Between quotes, since Gradio translates choices that are words of its own, such as "label".
        choices = [(BY_NAME, BY_NAME), *((f"“{column}”", column) for column in shown["columns"])]
        head = {"headers": view.headers(shown), "data": shown["head"]}
        return [
            "\n".join(view.report(shown)),
            gr.Dataframe(head, visible=bool(shown["columns"])),
            *[gr.Dropdown(choices)] * 3,
            *arranged,
            gr.Button(WAYS[filled.way], interactive=shown["refusal"] is None),
        ]

    def cost(self, filled: Filled) -> str:
        """What it will take, in words; or what is wrong with the settings."""
        if filled.file is None:
            return ""
        try:
            if filled.way == COMBINE:
                return self._combining(filled)
            settings = settings_of(filled.settings)
            data = view.look(filled.file, **filled.columns).data
            if data is None:
                return ""
            return view.cost_in_words(view.cost(self.context.registry(), data, filled.base_model, settings))
        except RegistryError as error:
            return one_line(error)

    def _combining(self, filled: Filled) -> str:
        asked = filled.combining
        ExpertSettings(rank=asked["rank"], max_length=asked["max_length"])
        return view.combining_in_words(self.context.registry(), filled.name, asked["experts"])

    def naming(self, filled: Filled) -> str:
        """What the name leads to, or why it cannot be one."""
        try:
            return view.naming(self.context.registry(), filled.name) if filled.name else ""
        except RegistryError as error:
            return one_line(error)

    def queue(self, filled: Filled, request: gr.Request) -> int:
        """Queue what the form asks for; the number of its job."""
        if filled.file is None:
            raise NotFoundError("there is no file yet: choose one")
        asked: dict[str, Any] = {"name": filled.name or None, **filled.columns}
        if filled.way == COMBINE:
            return int(self.adapt(filled.file, request, **asked, **filled.combining)["job"])
        asked |= {"base_model": filled.base_model, "settings": filled.settings}
        return int(self.add_task(filled.file, request, **asked)["job"])

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
    ) -> dict[str, Any]:
        """Queue the training of an expert on a file of rows. Options: name, base_model, kind, the columns
        text, text_pair and label, and settings (fields of ExpertSettings). Gives the job."""
        self.context.require(request)
        settings_of(settings or {})
        columns = {"kind": kind, "text": text, "text_pair": text_pair, "label": label}
        asked: dict[str, Any] = {"name": name, "base_model": base_model, "settings": settings, **columns}
        return self._submit(training.submit, file, asked)

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

    def _submit(self, submit: Any, file: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        try:
            job: Job = submit(self.context.registry(), file, device=self.context.device, **asked)
        except DataRefusedError as error:
            raise DataRefusedError(view.told_by_name(error, file)) from None
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
    ) -> dict[str, Any]:
        """Read a file as `add_task` would, or, with `few`, as `adapt` would: head, labels, splits, what was
        noticed, or why it is refused."""
        found = view.look(file, kind, few=few, text=text, text_pair=text_pair, label=label)
        shown = view.document(found)
        return {**shown, "report": view.report(shown)}

    def fit_router(self, request: gr.Request) -> int:
        """Queue a router fit over the newest experts; the number of its job."""
        user = self.context.require(request)
        return fitting.submit(self.context.registry(), device=self.context.device, actor=user).id

    def running(self, number: float | None) -> int | None:
        """The job to follow: the one that was queued here, or what somebody's training waits for or does."""
        if number:
            return int(number)
        found = jobs.list_jobs(self.context.registry(), "queued", "running", "needs_recovery")
        return next((one["job"] for one in found), None)


def build(context: Context) -> None:
    """File, settings, work, router."""
    tab = Tab(context)
    form = Form.build()
    add = gr.Button(WAYS[TRAIN], variant="primary", interactive=False)
    gr.Markdown("### 3. Work")
    panel = Panel.build(typed=False)
    panel.connect(context)
    fit = gr.Button("Fit the router over all experts")
    _preview(tab, form, add)
    _queue(tab, form, add, fit, panel.number)
    _follow(tab, form, panel)
    for function in (tab.preview_task, tab.add_task, tab.adapt):
        file_endpoint(function.__name__, function)


def _preview(tab: Tab, form: Form, add: gr.Button) -> None:
    """Says what the file and the settings lead to, as soon as they are there."""

    @warns()
    def look(*given: Any) -> list[Any]:
        return tab.look(form.read(given))

    def naming(*given: Any) -> str:
        return tab.naming(form.read(given))

    def price(*given: Any) -> str:
        return tab.cost(form.read(given))

    # What was said last is what counts: by default it is passed over while an answer is on its way.
    last: dict[str, Any] = {"api_visibility": "private", "trigger_mode": "always_last"}
    quiet = {**last, "show_progress": "hidden"}
    file, *columns = form.source.parts
    shown = [form.report, form.head, *columns[1:], form.train, form.combine, add]
    asks = [file.change, form.way.change, *(one.input for one in columns)]
    gr.on(asks, look, form.parts, shown, **last)
    # The page never writes a name: that would take away what somebody is just typing.
    gr.on([file.change, form.name.change], naming, form.parts, form.leads, **quiet)
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
    def opened(number: float | None, base: str | None) -> list[Any]:
        registry = tab.context.registry()
        specs = view.base_models(registry)
        bases = gr.Dropdown(specs) if base else gr.Dropdown(specs, value=specs[0])
        experts = gr.Dropdown([expert.name for expert in registry.experts()])
        return [gr.Timer(active=True), tab.running(number), bases, experts]

    def follow(number: float | None, seen: Any) -> list[Any]:
        return panel.values(tab.context, number, seen)

    when_opened(opened, [number, form.base], [timer, number, form.base, form.combining["experts"]])
    gr.on(
        [timer.tick, number.change], follow, [number, panel.seen], panel.parts, trigger_mode="once",
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip
