"""Jobs: what waits, what runs, what became of the rest; the same after a reload, since the database knows."""

import json
from typing import Any

import gradio as gr

from registry.errors import InvalidSettingError, RegistryError
from registry.queue import STATES
from trainer.jobs import clone
from ui.browser.context import Context
from ui.browser.endpoints import endpoint
from ui.browser.opening import clicked, filled, linked, table, when_opened
from ui.browser.progress import LOOK, Panel, chosen, retry, stop
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
        return stop(self.context, job, request)

    def retry_job(self, job: int, request: gr.Request) -> dict[str, Any]:
        """Queue a job again that failed or was cancelled; training goes on from its last checkpoint."""
        return retry(self.context, job, request)

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
        picked = int(number) if number else None
        if not picked and not known:  # Later an empty field is one that somebody is about to type in.
            picked = asked or _worth_a_look(found)
        rows = [_row(one) for one in found]
        return [
            gr.skip()
            if rows == known
            else gr.Markdown(NOTHING if state == EVERY else NO_MATCH, visible=not rows),
            gr.skip() if known else gr.Column(visible=picked is not None),
            gr.skip() if rows == known else filled(rows),
            gr.skip() if picked == number or not picked else picked,
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
        [EVERY, *(one.replace("_", " ") for one in STATES)],
        value=EVERY,
        label="Show jobs in",
        info="The state that the listed jobs are in.",
    )
    rows = table(
        "Jobs, newest first: choose a row, or type its number below",
        *HEADERS,
        height=300,
        widths=WIDTHS,
        empty=False,
    )
    with gr.Column(visible=False) as one_job:
        panel = Panel.build(typed=True)
        panel.connect(context)
        _clone(tab, panel.number)
    _watch(tab, panel, state, rows, (nothing, one_job))
    for name in ("list_jobs", "show_job", "cancel_job", "retry_job", "clone_job"):
        endpoint(name, getattr(tab, name))


def _watch(
    tab: Tab, panel: Panel, state: gr.Dropdown, rows: gr.Dataframe, places: tuple[gr.Markdown, gr.Column]
) -> None:
    """Looks at the queue every two seconds, once the tab has been opened."""
    nothing, one_job = places
    known, timer, number = gr.State(None), gr.Timer(LOOK, active=False), panel.number
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


def _clone(tab: Tab, number: gr.Number) -> None:
    """The same once more, with other settings."""
    with gr.Accordion("Do it again with other settings", open=False):
        settings = gr.Textbox(
            label="Settings (JSON)",
            info="They take the place of the job's own.",
            lines=2,
            max_length=10_000,
        )
        copy = gr.Button("Queue a clone")

    @warns()
    def clone_it(number: float | None, settings: str, request: gr.Request) -> int:
        made = tab.clone_job(chosen(number), request, _settings(settings))
        gr.Info(f"Job {made['job']} is a clone of job {chosen(number)}.")
        return int(made["job"])

    number.change(tab.settings, number, settings, api_visibility="private", show_progress="hidden")
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
