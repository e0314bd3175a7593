"""One job on a page: how far it is, its curve, its log, and the buttons to stop and to repeat it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from registry.errors import NotFoundError, RegistryError
from ui.browser.context import Context
from ui.browser.pictures import frame, picture
from ui.browser.shared import command, one_line, same_as
from ui.plots.curve import losses, losses_said, scores, scores_said
from ui.views import jobs as view

LOOK = 2.0
"""Seconds between two looks at the database."""


@dataclass(frozen=True)
class Panel:
    """The components that show one job."""

    now: gr.Textbox
    share: gr.Slider
    curve: gr.Row
    losses: gr.Plot
    scores: gr.Plot
    log: gr.Textbox
    asked: gr.JSON
    shell: gr.Code
    python: gr.Code
    seen: gr.State

    @classmethod
    def build(cls) -> "Panel":
        """The components, in the place where this is called."""
        now = gr.Textbox(label="Now", interactive=False, lines=2, elem_classes="job-now")
        share = gr.Slider(0, 100, 0, label="Done (%)", interactive=False, visible=False)
        with gr.Row(visible=False) as curve:
            lost = frame("Loss")
            scored = frame("Validation score")
        with gr.Accordion("Log", open=False):
            log = gr.Textbox(label="Last lines", interactive=False, lines=12, max_lines=12, autoscroll=True)
        with gr.Accordion("What was asked for, and what came of it", open=False):
            asked = gr.JSON(label="Job")
        shell, python = same_as()
        return cls(now, share, curve, lost, scored, log, asked, shell, python, gr.State(None))

    @property
    def parts(self) -> list[Any]:
        """All of them, in the order of `values`."""
        return [
            self.now,
            self.share,
            self.curve,
            self.losses,
            self.scores,
            self.log,
            self.asked,
            self.shell,
            self.python,
            self.seen,
        ]

    def values(self, context: Context, number: int | None, seen: Any = None) -> list[Any]:
        """What they show of a job; skips where nothing has changed since `seen`."""
        if number is None:
            return self._said("No job is chosen.", seen)
        try:
            job = view.show_job(context.registry(), int(number))
        except RegistryError as error:
            return self._said(one_line(error), seen)
        if job == seen:
            return [gr.skip()] * len(self.parts)
        same = isinstance(seen, dict) and seen["job"] == job["job"]
        return [
            view.now(job),
            gr.Slider(value=100 * (job["share"] or 0), visible=job["share"] is not None),
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
        shown = [
            sentence,
            gr.Slider(visible=False),
            gr.Row(visible=False),
            picture(None),
            picture(None),
            "",
            None,
            "",
            "",
        ]
        return [*shown, sentence]

    def _curve(self, curve: list[dict[str, Any]], unchanged: bool) -> list[Any]:
        if unchanged:
            return [gr.skip()] * 3
        return [gr.Row(visible=bool(curve)), *curves(curve)]


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
    if number is None:
        raise NotFoundError("no job is chosen yet: choose one in the table")
    return int(number)
