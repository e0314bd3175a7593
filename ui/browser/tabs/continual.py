"""Continual matrix: what became of each task while others were added."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from registry.errors import NotFoundError
from ui.browser.context import Context
from ui.browser.endpoints import endpoint
from ui.browser.opening import filled, table, when_opened
from ui.browser.pictures import frame, picture
from ui.browser.shared import escape, same_as, warns
from ui.plots import matrix as plot
from ui.views import continual as view
from ui.views.intervals import measure
from ui.views.routers import ROUTED

TITLE = "Continual matrix"
PLACE = 40
EMPTY = "There is no router yet. Add tasks in the tab *Add a task*, then fit it: each fit is a column here."
MEANS = """A task can lose in two ways. **Experts**: their bytes could have changed. They cannot: a version is
frozen, every generation names it by digest, and the button below reads each file and compares. **Routing**:
its rows could be sent elsewhere. That is measured, from the first generation that had the expert on."""


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @warns()
    def show(self, metric: str, text: str, page: float | None, columns: float | None) -> Any:
        """The matrix as a picture, what was forgotten in a table, and the sums."""
        try:
            found = view.show_matrix(
                self.context.registry(),
                metric=metric,
                text=text,
                offset=view.TASKS * (int(page or 1) - 1),
                generations=int(columns or view.GENERATIONS),
            )
        except NotFoundError:
            return EMPTY, picture(None), filled([])
        drawn = picture(plot.draw(found), plot.said(found)) if found["tasks"] else picture(None)
        return _sums(found), drawn, filled([_line(one) for one in found["per_task"]])

    @warns("", [])
    def check(self) -> Any:
        """Read every file behind production, and compare it with its digest."""
        found = view.check_digests(self.context.registry())
        said = (
            f"{found['identical']:,} of {found['experts']:,} experts of {found['generation']} are bit for "
            f"bit what was frozen; its manifest has the root {found['root'][:12]}."
        )
        return said, filled([[one["subject"], one["what"]] for one in found["problems"]])

    def show_matrix(
        self,
        generation: str | None = None,
        metric: str = ROUTED,
        text: str = "",
        offset: int = 0,
        tasks: int = view.TASKS,
        generations: int = view.GENERATIONS,
    ) -> dict[str, Any]:
        """Accuracy by task and generation, and what was forgotten; by default of the one in production."""
        return view.show_matrix(
            self.context.registry(),
            generation,
            metric=metric,
            text=text,
            offset=offset,
            tasks=tasks,
            generations=generations,
        )

    def check_digests(self, generation: str | None = None) -> dict[str, Any]:
        """Reads every file behind a generation and compares it with its digest."""
        return view.check_digests(self.context.registry(), generation)


def build(context: Context) -> None:
    """The matrix, what was forgotten, and the check of the digests."""
    tab = Tab(context)
    with gr.Row():
        metric = gr.Radio(
            [(name.replace("_", " "), name) for name in view.METRICS],
            value=ROUTED,
            label="Accuracy",
            info="Of answers as routed, of the routing, or of each row's own expert.",
        )
        text = gr.Textbox(label="Only tasks whose name holds", info="Empty: all.", max_lines=1)
        page = gr.Number(1, label="Page", info=f"{view.TASKS} tasks are on each.", precision=0, minimum=1)
        columns = gr.Slider(
            5, 200, view.GENERATIONS, step=5, label="Generations at most", info="The newest are shown."
        )
    said = gr.Markdown(EMPTY)
    drawn = frame("Task by generation")
    lines = table(
        "What became of each task",
        "task", "expert", "learned in", "then", "now", "experts", "routing", "below its best",
        widths=(150, 150, 110, 90, 90, 110, 130, 130), empty=False,
    )  # fmt: skip
    gr.Markdown(MEANS)
    check = gr.Button("Check every digest")
    checked = gr.Textbox(label="Digests", interactive=False)
    problems = table("Problems", "what", "is wrong", height=200, empty=False)
    shell, python = same_as()
    shell.value = "registry verify"
    python.value = "from registry import Registry\n\nprint(Registry().verify())  # an empty list: all is well"
    given, shown = [metric, text, page, columns], [said, drawn, lines]
    when_opened(tab.show, given, shown)
    gr.on(
        [metric.change, text.submit, page.submit, columns.release],
        tab.show,
        given,
        shown,
        api_visibility="private",
    )
    check.click(tab.check, None, [checked, problems], api_visibility="private")
    endpoint("show_matrix", tab.show_matrix)
    endpoint("check_digests", tab.check_digests)


def _sums(found: Mapping[str, Any]) -> str:
    total, shown = found["total"], len(found["tasks"])
    which = f"{shown:,} of {found['all_tasks']:,} tasks of {escape(found['generation'])}"
    if not total["tasks"]:
        return f"{which}. None of them was learned in an earlier generation: nothing can be forgotten yet."
    return (
        f"{which}. Of those learned earlier ({total['tasks']:,}), on average: "
        f"experts **{_points(total['experts'])}**, routing **{_points(total['routing'])}** "
        f"(backward transfer), **{_points(-total['forgetting'])}** against their best so far (forgetting)."
    )


def _line(one: Mapping[str, Any]) -> list[str]:
    return [
        one["task"],
        one["expert"],
        one["learned_in"],
        measure(one["learned"], one["score"]),
        measure(one["now"], one["score"]),
        _points(one["experts"]),
        _points(one["routing"]),
        _points(None if one["forgetting"] is None else -one["forgetting"]),
    ]


def _points(share: float | None) -> str:
    """A difference of shares in hundredths, with its sign."""
    if share is None:
        return "-"
    return "0 points" if share == 0 else f"{100 * share:+.1f} points"
