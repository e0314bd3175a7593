"""Add a task: a file, what it was understood to be, what it will cost, and then its training."""

import html
from collections.abc import Mapping
from typing import Any

import gradio as gr

from registry.errors import DataRefusedError, NotFoundError, RegistryError
from trainer.data import task_name
from trainer.jobs import add_task as training
from trainer.jobs import retrain_router as fitting
from trainer.settings import settings_of
from ui.browser.context import Context
from ui.browser.endpoints import file_endpoint
from ui.browser.opening import when_opened
from ui.browser.progress import LOOK, Panel, chosen
from ui.browser.shared import one_line, warns
from ui.browser.task_form import BY_NAME, File, build_settings, columns_of, settings_from
from ui.views import adding as view
from ui.views import jobs

TITLE = "Add a task"
PLACE = 50


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def look(self, file: str | None, *columns: str | None) -> list[Any]:
        """What a file was understood to be."""
        if file is None:
            return ["", gr.Dataframe(visible=False), *[gr.skip()] * 3, gr.Button(interactive=False)]
        shown = view.document(view.look(file, **columns_of(*columns)))
        # Between quotes, since Gradio translates choices that are words of its own, such as "label".
        choices = [(BY_NAME, BY_NAME), *((f"“{column}”", column) for column in shown["columns"])]
        head = {"headers": view.headers(shown), "data": shown["head"]}
        return [
            "\n".join(view.report(shown)),
            gr.Dataframe(head, visible=bool(shown["columns"])),
            *[gr.Dropdown(choices)] * 3,
            gr.Button(interactive=shown["refusal"] is None),
        ]

    def cost(self, file: str | None, columns: Mapping[str, Any], base: str, given: Mapping[str, Any]) -> str:
        """What the training will take, in words; or what is wrong with the settings."""
        if file is None:
            return ""
        data = view.look(file, **columns).data
        if data is None:
            return ""
        try:
            settings = settings_of(settings_from(given))
            return view.cost_in_words(view.cost(self.context.registry(), data, base, settings))
        except RegistryError as error:
            return one_line(error)

    def naming(self, name: str) -> str:
        """What a name leads to, or why it cannot be one."""
        try:
            return view.naming(self.context.registry(), name) if name else ""
        except RegistryError as error:
            return one_line(error)

    def add(
        self,
        file: str | None,
        name: str | None,
        base: str | None,
        columns: Mapping[str, Any],
        settings: Mapping[str, Any],
        request: gr.Request,
    ) -> dict[str, Any]:
        """Queue the training; its job."""
        self.context.require(request)
        if file is None:
            raise NotFoundError("there is no file yet: choose one")
        settings_of(settings)
        try:
            job = training.submit(
                self.context.registry(),
                file,
                name=name or None,
                base_model=base or None,
                settings=settings,
                device=self.context.device,
                **columns,
            )
        except DataRefusedError as error:
            raise DataRefusedError(view.told_by_name(error, file)) from None
        return jobs.line(job)

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
        columns = {"kind": kind, "text": text, "text_pair": text_pair, "label": label}
        return self.add(file, name, base_model, columns, settings or {}, request)

    def preview_task(
        self,
        file: str,
        request: gr.Request,
        *,
        kind: str | None = None,
        text: str | None = None,
        text_pair: str | None = None,
        label: str | None = None,
    ) -> dict[str, Any]:
        """Read a file as `add_task` would: head, labels, splits, what was noticed, or why it is refused."""
        shown = view.document(view.look(file, kind, text=text, text_pair=text_pair, label=label))
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
    """File, settings, training, router."""
    tab = Tab(context)
    gr.Markdown("### 1. Rows\nA table with a column of texts and a column of labels, one row an example.")
    source = File.build()
    report = gr.Textbox(label="What was found", interactive=False, lines=4, max_lines=20)
    head = gr.Dataframe(label="The first rows", interactive=False, visible=False, wrap=True, max_height=300)
    gr.Markdown("### 2. Settings")
    with gr.Row():
        name = gr.Textbox(label="Name of the task", max_length=64)
        base = gr.Dropdown(label="Base model", choices=[], allow_custom_value=True)
    leads = gr.Textbox(label="What the name leads to", interactive=False)
    settings = build_settings()
    cost = gr.Textbox(label="What it will take", interactive=False, lines=2)
    gr.Markdown("### 3. Training")
    add = gr.Button("Train an expert", variant="primary", interactive=False)
    with gr.Row(equal_height=True):
        number = gr.Number(label="Job", precision=0, interactive=False)
        stop = gr.Button("Cancel the job", variant="stop")
        fit = gr.Button("Fit the router over all experts")
    panel = Panel.build()
    shown = [report, head, source.text, source.text_pair, source.label, add]
    _preview(tab, source, shown, (name, leads, cost, base, settings))
    _queue(tab, source, (name, base, settings), (add, fit, stop, number))
    _follow(tab, panel, number, base)
    file_endpoint("preview_task", tab.preview_task)
    file_endpoint("add_task", tab.add_task)


Form = tuple[gr.Textbox, gr.Textbox, gr.Textbox, gr.Dropdown, dict[str, gr.components.Component]]


def _preview(tab: Tab, source: File, shown: list[Any], form: Form) -> None:
    name, leads, cost, base, settings = form
    count = len(source.parts)

    @warns()
    def look(
        file: str | None, kind: str | None, text: str | None, text_pair: str | None, label: str | None
    ) -> list[Any]:
        """Read a file of rows as it would be read for training: its head, what was noticed, or why not."""
        return tab.look(file, kind, text, text_pair, label)

    def named(file: str | None) -> Any:
        return gr.skip() if file is None else task_name(file)

    def price(*given: Any) -> str:
        file, *columns = given[:count]
        values = dict(zip(settings, given[count + 1 :], strict=True))
        return tab.cost(file, columns_of(*columns), given[count], values)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs = [*source.parts, base, *settings.values()]
    read = gr.on(
        [source.file.change, *(one.input for one in source.parts[1:])],
        look,
        source.parts,
        shown,
        api_visibility="private",
    )
    read.then(price, inputs, cost, **quiet)
    source.file.change(named, source.file, name, **quiet)
    name.change(tab.naming, name, leads, trigger_mode="always_last", **quiet)
    gr.on(
        [one.change for one in (base, *settings.values())], price, inputs, cost, trigger_mode="always_last",
        **quiet,
    )  # fmt: skip


def _queue(
    tab: Tab,
    source: File,
    form: tuple[gr.Textbox, gr.Dropdown, dict[str, gr.components.Component]],
    does: tuple[gr.Button, gr.Button, gr.Button, gr.Number],
) -> None:
    name, base, settings = form
    add, fit, stop, number = does

    @warns()
    def queue(
        request: gr.Request,
        file: str | None,
        kind: str | None,
        text: str | None,
        text_pair: str | None,
        label: str | None,
        name: str | None,
        base_model: str | None,
        *values: Any,
    ) -> int:
        """Put the training of an expert in the queue; gives the number of its job."""
        columns = columns_of(kind, text, text_pair, label)
        chosen = settings_from(dict(zip(settings, values, strict=True)))
        return int(tab.add(file, name, base_model, columns, chosen, request)["job"])

    @warns()
    def fit_router(request: gr.Request) -> int:
        return tab.fit_router(request)

    @warns()
    def cancel(number: float | None, request: gr.Request) -> None:
        tab.context.require(request)
        job = tab.context.registry().jobs.cancel(chosen(number))
        gr.Info(html.escape(jobs.now(jobs.line(job))))

    add.click(queue, [*source.parts, name, base, *settings.values()], number, api_visibility="private")
    fit.click(fit_router, None, number, api_visibility="private")
    stop.click(cancel, number, None, api_visibility="private")


def _follow(tab: Tab, panel: Panel, number: gr.Number, base: gr.Dropdown) -> None:
    timer = gr.Timer(LOOK, active=False)

    @warns()
    def opened(number: float | None, base: str | None) -> list[Any]:
        specs = view.base_models(tab.context.registry())
        return [gr.Timer(active=True), tab.running(number), gr.Dropdown(specs, value=base or specs[0])]

    def follow(number: float | None, seen: Any) -> list[Any]:
        return panel.values(tab.context, None if not number else int(number), seen)

    when_opened(opened, [number, base], [timer, number, base])
    gr.on(
        [timer.tick, number.change], follow, [number, panel.seen], panel.parts, trigger_mode="once",
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip
