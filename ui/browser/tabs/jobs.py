"""Jobs: what waits, what runs, what became of the rest; the same after a reload, since the database knows."""

import html
import json
from typing import Any

import gradio as gr

from registry.errors import InvalidSettingError, RegistryError
from registry.queue import STATES
from trainer.jobs import clone
from ui.browser.context import Context
from ui.browser.endpoints import endpoint
from ui.browser.opening import clicked, filled, linked, table, when_opened
from ui.browser.progress import LOOK, Panel, chosen
from ui.browser.shared import empty_state, warns
from ui.present import value
from ui.views import jobs as view

TITLE = "Jobs"
PLACE = 60
HEADERS = ("job", "kind", "task", "state", "progress", "made", "asked for (UTC)")
WIDTHS = (60, 150, 150, 150, 250, 150, 160)
EVERY = "every state"
NOTHING = (
    "**Nobody has asked for work yet.** The tab *Add a task* does, as does "
    "`registry add-task --data FILE --detach`; `registry worker` runs what waits."
)
NO_MATCH = "No job is in this state: choose another, or every state."


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def list_jobs(self, state: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """The newest jobs, or those in one state; newest first."""
        return view.list_jobs(self.context.registry(), *([state] if state else []), limit=limit)

    def show_job(self, job: int) -> dict[str, Any]:
        """Everything about one job: progress, curve, the end of its log, what it made."""
        return view.show_job(self.context.registry(), job)

    def cancel_job(self, job: int, request: gr.Request) -> dict[str, Any]:
        """Stop a job: one that waits at once, one that runs at its next step."""
        self.context.require(request)
        return view.line(self.context.registry().jobs.cancel(job))

    def retry_job(self, job: int, request: gr.Request) -> dict[str, Any]:
        """Queue a job again that failed or was cancelled; training goes on from its last checkpoint."""
        self.context.require(request)
        return view.line(self.context.registry().jobs.retry(job))

    def clone_job(
        self, job: int, request: gr.Request, settings: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Ask once more for what a job was asked for, with other settings if they are given."""
        self.context.require(request)
        return view.line(clone(self.context.registry(), job, settings))

    @warns()
    def look(
        self, state: str, number: float | None, known: Any, seen: Any, panel: Panel, wanted: str = ""
    ) -> list[Any]:
        """The queue and the chosen job, as far as they have changed; nothing chosen: the one that the page's
        address names, else what runs."""
        found = self.list_jobs(None if state == EVERY else state.replace(" ", "_"))
        asked = int(wanted) if wanted.isdecimal() else None
        picked = int(number) if number else asked or _worth_a_look(found)
        rows = [_row(one) for one in found]
        return [
            gr.skip()
            if rows == known
            else gr.Markdown(NOTHING if state == EVERY else NO_MATCH, visible=not rows),
            gr.skip() if picked == number and known is not None else gr.Column(visible=picked is not None),
            gr.skip() if rows == known else filled(rows),
            gr.skip() if picked == number else picked,
            rows,
            *panel.values(self.context, picked, seen),
        ]

    def settings(self, number: float | None) -> str:
        """The settings of a job, to be changed in a clone."""
        try:
            job = self.context.registry().jobs.get(chosen(number))
        except RegistryError:
            return ""
        return json.dumps(job.params.get("settings"), ensure_ascii=False)


def build(context: Context) -> None:
    """The queue, then the job that was chosen."""
    tab = Tab(context)
    nothing = empty_state(NOTHING, visible=False)
    state = gr.Dropdown(
        [EVERY, *(one.replace("_", " ") for one in STATES)], value=EVERY, label="Show jobs in"
    )
    rows = table(
        "Jobs, newest first: choose a row, or type its number below",
        *HEADERS,
        height=300,
        widths=WIDTHS,
        empty=False,
    )
    with gr.Column(visible=False) as one_job:
        with gr.Row(equal_height=True):
            number = gr.Number(label="Job", precision=0)
            stop = gr.Button("Cancel", variant="stop")
            again = gr.Button("Retry")
        panel = Panel.build()
        with gr.Accordion("Do it again with other settings", open=False):
            settings = gr.Textbox(label="Settings (JSON)", lines=2, max_length=10_000)
            copy = gr.Button("Queue a clone")
    known = gr.State(None)
    timer = gr.Timer(LOOK, active=False)
    watched = [state, number, known, panel.seen]
    shown = [nothing, one_job, rows, number, known, *panel.parts]

    def look(state: str, number: float | None, known: Any, seen: Any, request: gr.Request) -> Any:
        return tab.look(state, number, known, seen, panel, linked(request, "jobs"))

    def pick(event: gr.SelectData) -> int:
        return int(clicked(event))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    when_opened(lambda: gr.Timer(active=True), [], [timer])
    when_opened(look, watched, shown)
    gr.on([timer.tick, state.change, number.change], look, watched, shown, trigger_mode="once", **quiet)
    rows.select(pick, None, number, **quiet)
    number.change(tab.settings, number, settings, **quiet)
    _wire(tab, stop, again, copy, number, settings)
    for name in ("list_jobs", "show_job", "cancel_job", "retry_job", "clone_job"):
        endpoint(name, getattr(tab, name))


def _wire(
    tab: Tab, stop: gr.Button, again: gr.Button, copy: gr.Button, number: gr.Number, settings: gr.Textbox
) -> None:
    @warns()
    def cancel(number: float | None, request: gr.Request) -> None:
        gr.Info(html.escape(view.now(tab.cancel_job(chosen(number), request))))

    @warns()
    def retry(number: float | None, request: gr.Request) -> None:
        gr.Info(html.escape(view.now(tab.retry_job(chosen(number), request))))

    @warns()
    def clone_it(number: float | None, settings: str, request: gr.Request) -> int:
        made = tab.clone_job(chosen(number), request, _settings(settings))
        gr.Info(f"Job {made['job']} is a clone of job {chosen(number)}.")
        return int(made["job"])

    stop.click(cancel, number, None, api_visibility="private")
    again.click(retry, number, None, api_visibility="private")
    copy.click(clone_it, [number, settings], number, api_visibility="private")


def _settings(written: str) -> dict[str, Any] | None:
    if not written.strip() or written.strip() == "null":
        return None
    try:
        found = json.loads(written)
    except json.JSONDecodeError as error:
        raise InvalidSettingError(f"the settings are not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(found, dict):
        raise InvalidSettingError('the settings must be one object, such as {"epochs": 5}')
    return found


def _worth_a_look(found: list[dict[str, Any]]) -> int | None:
    """What runs, else the newest."""
    running = [one["job"] for one in found if one["state"] == "running"]
    return next(iter([*running, *(one["job"] for one in found)]), None)


def _row(one: dict[str, Any]) -> list[Any]:
    created = one["created"][:16].replace("T", " ")
    return [
        one["job"],
        one["kind"].replace("_", " "),
        value(one["task"]),
        view.state_of(one),
        one["progress"],
        value(one["made"]),
        created,
    ]
