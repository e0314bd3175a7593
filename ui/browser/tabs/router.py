"""Router: its generations over time, the card of one, and what stands in production."""

from typing import Any

import gradio as gr

from registry.errors import NotFoundError
from ui.browser import generation_card, mistakes, mixture_form, production
from ui.browser.context import Context
from ui.browser.downloads import uploads
from ui.browser.endpoints import endpoint
from ui.browser.opening import clicked, filled, linked, table, when_opened
from ui.browser.pictures import frame, picture
from ui.browser.shared import beside, empty_state, heading, warns
from ui.plots import timeline
from ui.views import routers as view
from ui.views import routing

TITLE = "Router"
PLACE = 30
ALL = "all tasks together"
HEADERS = (
    *("generation", "router", "experts", "sent right", "routed", "own expert"),
    *("fit", "aliases", "gate", "made (UTC)"),
)
WIDTHS = (110, 120, 90, 170, 170, 170, 80, 180, 300, 150)
MOVE = ("when (UTC)", "alias", "who", "what")
MOVES = (180, 170, 90, 700)


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @warns()
    def open(self, task: str) -> Any:
        """The list, the chart, the history of the aliases."""
        registry = self.context.registry()
        listed = view.list_generations(registry)
        moves = view.alias_history(registry)
        names = [ALL, *(one.name for one in registry.tasks())]
        return [
            gr.Markdown(visible=not listed),
            filled([generation_card.line(one) for one in listed]),
            gr.Dropdown(names, value=task if task in names else ALL),
            self._chart(task, view.points(listed)) if listed else picture(None),
            filled([[one["at"], one["alias"], one["actor"] or "", one["what"]] for one in moves]),
        ]

    @warns()
    def chart(self, task: str) -> Any:
        """Accuracies over the generations."""
        return self._chart(task)

    def _chart(self, task: str, together: list[dict[str, Any]] | None = None) -> Any:
        of = None if task in ("", ALL) else task
        known = together if of is None else None
        points = view.over_time(self.context.registry(), task=of) if known is None else known
        if not points:
            return picture(None)
        return picture(timeline.draw(points, task or ALL), timeline.said(points, task or ALL))

    def show_clicked(self, event: gr.SelectData) -> Any:
        """The card of the row that was chosen."""
        return self.show(clicked(event))

    def follow(self, shown: str, request: gr.Request) -> Any:
        """The card that was shown last, else that which the address of the page names, else production's."""
        return self.show(shown or linked(request, "router"))

    @warns()
    def show(self, name: str) -> Any:
        """The card of a generation, by default of the one in production."""
        registry = self.context.registry()
        try:
            found = view.show_generation(registry, name.strip() or None)
        except NotFoundError:
            if name.strip():
                raise
            return ["", "", gr.Column(visible=False), *generation_card.blank()]
        mixed = routing.show_confusion(registry, found["name"])
        return [
            found["name"],
            heading(found["name"]),
            gr.Column(visible=True),
            *generation_card.values(found, mixed, uploads(registry)),
        ]

    def list_generations(self) -> dict[str, Any]:
        """All generations, newest first, with their test accuracies, gate and aliases."""
        return {"generations": view.list_generations(self.context.registry())}

    def show_generation(self, name: str | None = None) -> dict[str, Any]:
        """Everything about one generation, by default of the one in production."""
        return view.show_generation(self.context.registry(), name)


def build(context: Context) -> None:
    """The list and the chart, one card, and what can be done."""
    tab = Tab(context)
    nothing = empty_state(
        "There is no router yet. Add at least one task in the tab *Add a task*, then fit the router below.",
        visible=False,
    )
    listed = table(
        "Generations: choose a row to see its card",
        *HEADERS,
        numbers=("experts",),
        widths=WIDTHS,
        empty=False,
    )
    task = gr.Dropdown(
        [ALL], value=ALL, label="Accuracy over the generations, of", info="All tasks together, or one."
    )
    chart = frame("Accuracy over the generations")
    shown = _card(tab, listed)
    done = production.build(context, shown)
    mixture_form.build(context)
    history = table("What the aliases of the router stood for", *MOVE, widths=MOVES, empty=False)
    opened = [nothing, listed, task, chart, history]
    when_opened(tab.open, [task], opened)
    task.input(tab.chart, task, chart, api_visibility="private")
    done.change(tab.open, [task], opened, api_visibility="private")
    for function in (tab.list_generations, tab.show_generation):
        endpoint(function.__name__, function)


def _card(tab: Tab, listed: gr.Dataframe) -> gr.State:
    """The card of one generation; gives the name of the one that is shown. It is kept apart from the box to
    type in: written into that, it would take away what somebody is typing."""
    with beside():
        name = gr.Textbox(
            label="Generation", info="Empty: the one in production.", placeholder="router@3", max_lines=1
        )
        show = gr.Button("Show", scale=0)
    shown = gr.State("")
    with gr.Column(visible=False) as card:
        title = gr.Markdown()
        parts, mixed = generation_card.components()
        mistakes.build(tab.context, shown, mixed)
    outputs = [shown, title, card, *parts]
    when_opened(tab.follow, [shown], outputs)
    listed.select(tab.show_clicked, None, outputs, api_visibility="private")
    gr.on([show.click, name.submit], tab.show, name, outputs, api_visibility="private")
    return shown
