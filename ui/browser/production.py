"""What stands in production: a generation is put there, taken back, and the next one asked for."""

from typing import Any, Literal

import gradio as gr

from registry.generations import PRODUCTION
from trainer import kinds
from trainer.fit_limits import AUTO, COVERAGE, TOLERANCE
from trainer.jobs import retrain_router
from ui.browser.context import Context
from ui.browser.endpoints import endpoint
from ui.browser.opening import when_opened
from ui.browser.shared import beside, call, command, same_as, warns
from ui.views.programs import program

UNCHANGED = ("", gr.skip(), gr.skip())
Wanted = Literal["gate", "yes", "no"]
PROMOTE = {"yes": True, "no": False}
DEFAULTS = {"router": AUTO, "coverage": COVERAGE, "tolerance": TOLERANCE, "seed": 0}


class Production:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

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
    def fit(
        self,
        promote: Wanted,
        router: str,
        coverage: float | None,
        tolerance: float | None,
        seed: float | None,
        two_pass: bool,
        experts: list[str] | None,
        request: gr.Request,
    ) -> Any:
        """Ask for the next generation."""
        given: dict[str, Any] = {"router": router, "coverage": coverage, "tolerance": tolerance}
        given["seed"] = None if seed is None else int(seed)
        asked = {name: value for name, value in given.items() if value not in (None, DEFAULTS[name])}
        pool: dict[str, Any] = {"experts": list(experts)} if experts else {}
        said = self.fit_router(promote, request, **asked, two_pass=two_pass, **pool)
        option = {"yes": ["--promote"], "no": ["--no-promote"]}.get(promote, [])
        option += ["--two-pass"] if two_pass else []
        for name, value in (*asked.items(), *(("expert", one) for one in experts or ())):
            option += [f"--{name}", f"{value}"]
        named = {"promote": PROMOTE.get(promote), **asked, **pool}
        named |= {"passes": "two"} if two_pass else {}
        arguments = "".join(f", {name}={value!r}" for name, value in named.items())
        code = program(f"retrain_router(registry{arguments})", imported="from trainer import retrain_router")
        return said, command("retrain-router", *option), code

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

    def fit_router(
        self,
        promote: Wanted,
        request: gr.Request,
        router: str = "auto",
        coverage: float = COVERAGE,
        tolerance: float = TOLERANCE,
        seed: int = 0,
        two_pass: bool = False,
        experts: list[str] | None = None,
    ) -> str:
        """Puts the next fit in the queue. `promote` is `gate`, `yes` or `no`, `router` its kind, `coverage`
        the share of rows to be answered, `tolerance` the points a task may lose; with `two_pass` the base
        model reads each text twice; `experts` are those to route to, by default all that are not retired.
        Says which job it is."""
        user = self.context.require(request)
        job = retrain_router.submit(
            self.context.registry(),
            actor=user,
            promote=PROMOTE.get(promote),
            router=router,
            coverage=coverage,
            tolerance=tolerance,
            seed=seed,
            passes="two" if two_pass else "one",
            experts=experts or None,
            device=self.context.device,
        )
        return f"Job {job.id} fits the next generation; see the tab Jobs."


def build(context: Context, shown: gr.State) -> gr.Textbox:
    """What can be done, with the generation that is shown or another; gives the box that says what was."""
    production = Production(context)
    gr.Markdown("### What to do")
    with beside():
        reason = gr.Textbox(label="Why", info="Kept in the history.", max_lines=1)
        promote = gr.Button("Put this generation into production")
        back = gr.Button("Roll production back")
    with beside():
        wanted = gr.Radio(
            [("if the gate lets it", "gate"), ("in any case", "yes"), ("no, only a candidate", "no")],
            value="gate",
            label="Into production",
            info="The gate lets a generation in by which no task loses accuracy.",
        )
        fit = gr.Button("Fit the next generation")
    how = _settings()
    pool = how[-1]

    def offer() -> gr.Dropdown:
        """The experts that there are; older versions can be typed."""
        return gr.Dropdown([expert.name for expert in context.registry().experts()])

    when_opened(offer, [], [pool])
    done = gr.Textbox(label="Done", interactive=False)
    told = [done, *same_as("What was done, as a command and in Python")]
    promote.click(production.promote, [shown, reason], told, api_visibility="private")
    back.click(production.roll_back, reason, told, api_visibility="private")
    fit.click(production.fit, [wanted, *how], told, api_visibility="private")
    for function in (production.promote_generation, production.roll_back_production, production.fit_router):
        endpoint(function.__name__, function)
    return done


def _settings() -> list[gr.components.Component]:
    """Of a fit, in the order in which `Production.fit` takes them."""
    with gr.Accordion("Settings of the fit", open=False):
        with gr.Row():
            numbers = _numbers()
        with gr.Row():
            return [
                *numbers,
                gr.Checkbox(
                    label="Two passes",
                    info="The router reads first, then the expert answers: twice the work.",
                ),
                gr.Dropdown(
                    [],
                    value=[],
                    multiselect=True,
                    allow_custom_value=True,
                    label="Experts to route to",
                    info="None chosen: of each task the newest. To keep a task at a version: all, as mood@1.",
                    scale=2,
                ),
            ]


def _numbers() -> list[gr.components.Component]:
    return [
        gr.Dropdown(
            [AUTO, *kinds.names("routers")],
            value=AUTO,
            label="Kind of router",
            info="auto: all, and validation picks.",
        ),
        gr.Number(
            COVERAGE,
            label="Coverage",
            info="Share of known rows to be answered.",
            step=0.01,
        ),
        gr.Number(
            TOLERANCE,
            label="Tolerance",
            info="Points that a task may lose.",
            step=0.1,
        ),
        gr.Number(0, label="Seed of the fit", info="Of everything random.", precision=0),
    ]
