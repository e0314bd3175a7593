"""Router: its generations over time, the card of one, and what stands in production."""

from typing import Any, Literal

import gradio as gr

from registry.errors import NotFoundError
from registry.generations import PRODUCTION
from ui.browser import generation_card
from ui.browser.context import Context
from ui.browser.downloads import uploads
from ui.browser.endpoints import endpoint
from ui.browser.opening import clicked, filled, linked, table, when_opened
from ui.browser.pictures import frame, picture
from ui.browser.shared import call, command, empty_state, program, same_as, warns
from ui.plots import calibration as calibration_plot
from ui.plots import confusion as confusion_plot
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
TEXTS = (140, 480, 250, 120, 90, 120)
MOVES = (180, 170, 90, 700)
UNCHANGED = ("", gr.skip(), gr.skip())
MISTAKES = ("sent to", "text", "second text", "label", "weight", "weight of its own")


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

    def follow(self, name: str, request: gr.Request) -> Any:
        """The card that was shown last, else that which the address of the page names, else production's."""
        return self.show(name or linked(request, "router"))

    @warns()
    def show(self, name: str) -> Any:
        """The card of a generation, by default of the one in production."""
        registry = self.context.registry()
        try:
            found = view.show_generation(registry, name.strip() or None)
        except NotFoundError:
            if name.strip():
                raise
            return ["", gr.Column(visible=False), *generation_card.blank()]
        mixed = routing.show_confusion(registry, found["name"])
        return [
            found["name"],
            gr.Column(visible=True),
            *generation_card.values(found, mixed, uploads(registry)),
        ]

    def mistakes_in_row(self, name: str, event: gr.SelectData) -> Any:
        """The texts behind a row of the table of what was mixed up."""
        row = event.row_value
        return self.mistakes(name, str(row[0]), str(row[1]))

    def mistakes_chosen(self, name: str, pair: str | None) -> Any:
        """The texts behind a choice of the list of what was mixed up."""
        task, _, sent = (pair or "").partition(" ")
        return self.mistakes(name, task, sent) if task else ("", filled([]))

    @warns()
    def mistakes_clicked(self, name: str, event: gr.SelectData) -> Any:
        """The texts behind a field of the picture."""
        mixed = routing.show_confusion(self.context.registry(), name)
        found = confusion_plot.pair_at(mixed, *map(float, event.index))
        return gr.skip() if found is None else self.mistakes(name, *found)

    @warns()
    def mistakes(self, name: str, task: str, sent: str | None) -> Any:
        """What is shown, and the texts of a task that went to another's expert; to any without a name."""
        found = [] if sent == task else routing.list_mistakes(self.context.registry(), name, task, sent)
        to = "the expert of another task" if sent is None else f"the expert of {sent}"
        first = f"the first {routing.MISTAKES:,}" if len(found) == routing.MISTAKES else f"{len(found):,}"
        said = f"Rows of {task} that {name} sent to {to}: {first}."
        texts = [
            [
                one["sent"],
                one["text"],
                one["text_pair"] or "",
                one["label"] or "",
                f"{one['weight']:.3f}",
                f"{one['own_weight']:.3f}",
            ]
            for one in found
        ]
        if sent == task:
            said = f"Rows of {task} in its own column were sent right."
        return said, filled(texts)

    @warns()
    def calibrate(self, name: str) -> Any:
        """The reliability diagram, and what it says in words."""
        found = routing.show_calibration(self.context.registry(), name.strip() or None)
        if not found["rows"]:
            return picture(None), "There are no test rows."
        said = (
            f"On {found['rows']:,} test rows of {found['tasks']:,} of {found['all_tasks']:,} tasks, the "
            f"weight that it gives its choice is {100 * found['error']:.1f} points away from how often it is "
            "right (expected calibration error)."
        )
        return picture(calibration_plot.draw(found), calibration_plot.said(found)), said

    @warns(*UNCHANGED)
    def promote(self, name: str, reason: str, request: gr.Request) -> Any:
        """Put a generation into production."""
        said = self.promote_generation(name, reason, request)
        why = ["--reason", reason] if reason else []
        return said, command("promote", name, *why), program(call("registry.promote", name, reason=reason))

    @warns(*UNCHANGED)
    def roll_back(self, reason: str, request: gr.Request) -> Any:
        """Take the last move of production back."""
        said = self.roll_back_production(reason, request)
        why = ["--reason", reason] if reason else []
        return said, command("rollback", *why), program(call("registry.rollback", reason=reason))

    @warns(*UNCHANGED)
    def fit(self, promote: Literal["gate", "yes", "no"], request: gr.Request) -> Any:
        """Ask for the next generation."""
        said = self.fit_router(promote, request)
        option, value = {"yes": ("--promote", True), "no": ("--no-promote", False)}.get(promote, ("", None))
        code = program("from trainer import retrain_router", f"retrain_router(registry, promote={value})")
        return said, command("retrain-router", *([option] if option else [])), code

    def list_generations(self) -> dict[str, Any]:
        """All generations, newest first, with their test accuracies, gate and aliases."""
        return {"generations": view.list_generations(self.context.registry())}

    def show_generation(self, name: str | None = None) -> dict[str, Any]:
        """Everything about one generation, by default of the one in production."""
        return view.show_generation(self.context.registry(), name)

    def show_confusion(self, name: str | None = None) -> dict[str, Any]:
        """Where a generation sent each task's test rows."""
        return routing.show_confusion(self.context.registry(), name)

    def list_mistakes(self, name: str, task: str, sent: str | None = None) -> dict[str, Any]:
        """The test rows of a task that a generation sends to another task's expert."""
        return {"mistakes": routing.list_mistakes(self.context.registry(), name, task, sent)}

    def show_calibration(self, name: str | None = None) -> dict[str, Any]:
        """How often the router is right when it is so sure."""
        return routing.show_calibration(self.context.registry(), name)

    def promote_generation(self, name: str, reason: str, request: gr.Request) -> str:
        """Puts a generation into production, whatever the gate said."""
        user = self.context.require(request)
        registry = self.context.registry()
        moved = registry.promote(registry.generation(name).name, reason=reason, actor=user)
        return f"{moved.ref} now stands for {moved.target}."

    def roll_back_production(self, reason: str, request: gr.Request) -> str:
        """Lets production stand for what it stood for before."""
        user = self.context.require(request)
        moved = self.context.registry().rollback(PRODUCTION, reason=reason, actor=user)
        return f"{moved.ref} stands for {moved.target} again."

    def fit_router(self, promote: Literal["gate", "yes", "no"], request: gr.Request) -> str:
        """Puts the next fit in the queue; `promote` is `gate`, `yes` or `no`. Says which job it is."""
        from trainer.jobs.retrain_router import submit

        user = self.context.require(request)
        wanted = {"yes": True, "no": False}.get(promote)
        job = submit(self.context.registry(), actor=user, promote=wanted, device=self.context.device)
        return f"Job {job.id} fits the next generation; see the tab Jobs."


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
    task = gr.Dropdown([ALL], value=ALL, label="Accuracy over the generations, of")
    chart = frame("Accuracy over the generations")
    with gr.Row():
        name = gr.Textbox(label="Generation", placeholder="router@3, or nothing: production", max_lines=1)
        show = gr.Button("Show", scale=0)
    with gr.Column(visible=False) as card:
        parts, mixed = generation_card.components()
        which = gr.Textbox(label="What was chosen", interactive=False)
        texts = table("The texts that went wrong", *MISTAKES, widths=TEXTS, empty=False)
        with gr.Row():
            calibrate = gr.Button("Measure how sure it is")
            said = gr.Textbox(label="Calibration", interactive=False)
        diagram = frame("Reliability diagram")
    outputs = [name, card, *parts]
    done = _actions(tab, name)
    history = table(
        "What the aliases of the router stood for",
        "when (UTC)",
        "alias",
        "who",
        "what",
        widths=MOVES,
        empty=False,
    )

    opened = [nothing, listed, task, chart, history]
    when_opened(tab.open, [task], opened)
    when_opened(tab.follow, [name], outputs)
    task.input(tab.chart, task, chart, api_visibility="private")
    listed.select(tab.show_clicked, None, outputs, api_visibility="private")
    gr.on([show.click, name.submit], tab.show, name, outputs, api_visibility="private")
    name.change(lambda: ("", filled([])), None, [which, texts], api_visibility="private")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    mixed.heat.select(tab.mistakes_clicked, name, [which, texts], **quiet)
    mixed.choice.input(tab.mistakes_chosen, [name, mixed.choice], [which, texts], **quiet)
    mixed.pairs.select(tab.mistakes_in_row, name, [which, texts], **quiet)
    calibrate.click(tab.calibrate, name, [diagram, said], api_visibility="private")
    done.change(tab.open, [task], opened, api_visibility="private")
    for function in (
        tab.list_generations,
        tab.show_generation,
        tab.show_confusion,
        tab.list_mistakes,
        tab.show_calibration,
        tab.promote_generation,
        tab.roll_back_production,
        tab.fit_router,
    ):
        endpoint(function.__name__, function)


def _actions(tab: Tab, name: gr.Textbox) -> gr.Textbox:
    """What can be done; gives the box that says what was done."""
    gr.Markdown("### What to do")
    with gr.Row():
        reason = gr.Textbox(label="Why (kept in the history)", max_lines=1)
        promote = gr.Button("Put this generation into production")
        back = gr.Button("Roll production back")
    with gr.Row():
        wanted = gr.Radio(
            [("if the gate lets it", "gate"), ("in any case", "yes"), ("no, only a candidate", "no")],
            value="gate",
            label="Into production",
        )
        fit = gr.Button("Fit the next generation")
    done = gr.Textbox(label="Done", interactive=False)
    told = [done, *same_as("What was done, as a command and in Python")]
    promote.click(tab.promote, [name, reason], told, api_visibility="private")
    back.click(tab.roll_back, reason, told, api_visibility="private")
    fit.click(tab.fit, wanted, told, api_visibility="private")
    return done
