"""One job on a page: how far it is, its curve, its log, and the buttons to stop and to repeat it."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from registry.errors import NotFoundError, RegistryError
from ui.browser.context import Context
from ui.browser.pictures import frame, picture
from ui.browser.shared import beside, command, escape, one_line, same_as, warns
from ui.plots.curve import losses, losses_said, scores, scores_said
from ui.views import jobs as view
from ui.views.lineage import page

LOOK = 2.0
"""Seconds between two looks at the database."""


@dataclass(frozen=True)
class Panel:
    """The components that show one job, and its number."""

    number: gr.Number
    stop: gr.Button
    again: gr.Button
    now: gr.Textbox
    share: gr.Slider
    made: gr.Markdown
    curve: gr.Row
    losses: gr.Plot
    scores: gr.Plot
    log: gr.Textbox
    asked: gr.JSON
    shell: gr.Code
    python: gr.Code
    seen: gr.State

    @classmethod
    def build(cls, *, typed: bool) -> "Panel":
        """The components, in the place where this is called.

        Args:
            typed: whether a person may type the job's number.
        """
        with beside():
            number = gr.Number(label="Job", info="Its number.", precision=0, interactive=typed)
            stop = gr.Button("Cancel", variant="stop", interactive=False)
            again = gr.Button("Retry", interactive=False)
        now = gr.Textbox(label="Now", interactive=False, lines=2, elem_classes="job-now")
        share = gr.Slider(0, 100, 0, label="Done (%)", interactive=False, visible=False)
        made = gr.Markdown(visible=False)
        with gr.Row(visible=False) as curve:
            lost = frame("Loss")
            scored = frame("Validation score")
        with gr.Accordion("Log", open=False):
            log = gr.Textbox(label="Last lines", interactive=False, lines=12, max_lines=12, autoscroll=True)
        with gr.Accordion("What was asked for, and what came of it", open=False):
            asked = gr.JSON(label="Job")
        boxes = now, share, made, curve, lost, scored, log, asked
        return cls(number, stop, again, *boxes, *same_as(), gr.State(None))

    @property
    def parts(self) -> list[Any]:
        """All that show something of the job, in the order of `values`."""
        return [getattr(self, field.name) for field in fields(self) if field.name != "number"]

    def connect(self, context: Context) -> None:
        """Lets the buttons do what they say."""

        @warns()
        def cancel(number: float | None, request: gr.Request) -> None:
            gr.Info(html.escape(view.now(stop(context, chosen(number), request))))

        @warns()
        def try_again(number: float | None, request: gr.Request) -> None:
            gr.Info(html.escape(view.now(retry(context, chosen(number), request))))

        def look(number: float | None, seen: Any) -> list[Any]:
            return self.values(context, number, seen)

        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        for button, does in ((self.stop, cancel), (self.again, try_again)):
            pressed = button.click(does, self.number, None, api_visibility="private")
            pressed.then(look, [self.number, self.seen], self.parts, **quiet)

    def values(self, context: Context, number: float | None, seen: Any = None) -> list[Any]:
        """What they show of a job; skips where nothing has changed since `seen`."""
        if not number:
            return self._said("No job is chosen.", seen)
        try:
            job = view.show_job(context.registry(), int(number))
        except RegistryError as error:
            return self._said(one_line(error), seen)
        if job == seen:
            return [gr.skip()] * len(self.parts)
        same = isinstance(seen, dict) and seen["job"] == job["job"]
        come = links(job["result"])
        return [
            gr.Button(interactive=job["cancellable"]),
            gr.Button(interactive=job["retriable"]),
            view.now(job),
            gr.Slider(value=100 * (job["share"] or 0), visible=job["share"] is not None),
            gr.Markdown(come, visible=bool(come)),
            *self._curve(job["curve"], same and seen["curve"] == job["curve"]),
            job["log"],
            view.facts(job),
            command(*job["command"]),
            job["python"],
            job,
        ]

    def _said(self, sentence: str, seen: Any) -> list[Any]:
        if seen == sentence:
            return [gr.skip()] * len(self.parts)
        gone = [gr.Slider(visible=False), gr.Markdown(visible=False), gr.Row(visible=False)]
        empty = [picture(None), picture(None), "", None, "", ""]
        return [*[gr.Button(interactive=False)] * 2, sentence, *gone, *empty, sentence]

    def _curve(self, curve: list[dict[str, Any]], unchanged: bool) -> list[Any]:
        if unchanged:
            return [gr.skip()] * 3
        return [gr.Row(visible=bool(curve)), *curves(curve)]


def stop(context: Context, job: int, request: gr.Request) -> dict[str, Any]:
    """Stops a job for who asks; the job in a few words."""
    context.require(request)
    return view.line(context.registry().jobs.cancel(job))


def retry(context: Context, job: int, request: gr.Request) -> dict[str, Any]:
    """Queues a job again for who asks; the job in a few words."""
    context.require(request)
    return view.line(context.registry().jobs.retry(job))


def links(result: Mapping[str, Any] | None) -> str:
    """What came of a job, in Markdown: the cards of it, and of what it was combined from; "" while nothing
    did."""
    names = view.made(result)
    if not names:
        return ""
    tab = "router" if (result or {}).get("generation") else "experts"
    said = "Look at " + " and ".join(
        f"{_link(tab, name)} ({_link('lineage', name, 'its lineage')})" for name in names
    )
    parents = (result or {}).get("combined_from")
    if parents is None:
        return f"{said}."
    if not parents:
        return f"{said}. No expert told more than the base model alone: it is combined from none."
    combined = " and ".join(f"{_link('experts', name)} at {weight:g}" for name, weight in parents.items())
    return f"{said}. Combined from {combined}."


def _link(tab: str, name: str, words: str | None = None) -> str:
    return f"[{escape(words or name)}]({page(tab, name)})"


def curves(curve: list[dict[str, Any]]) -> list[gr.Plot]:
    """The pictures of losses and of scores; gone where there is nothing to draw yet."""
    if not curve:
        return [picture(None), picture(None)]
    return [picture(losses(curve), losses_said(curve)), picture(scores(curve), scores_said(curve))]


def chosen(number: float | None) -> int:
    """The number of the job that a button is about.

    Raises:
        NotFoundError: none is chosen.
    """
    if not number:
        raise NotFoundError("no job is chosen yet: choose one in the table")
    return int(number)
