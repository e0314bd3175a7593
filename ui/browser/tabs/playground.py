"""Playground: a text in; who was chosen, why, and the answer out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from registry import Registry, measured
from registry.errors import DataRefusedError, NotFoundError
from ui.browser.asking import answer, ask_for
from ui.browser.context import Context
from ui.browser.endpoints import endpoint, file_endpoint
from ui.browser.opening import table, when_opened
from ui.browser.pictures import frame, picture
from ui.browser.shared import command, empty_state, same_as, warns
from ui.browser.task_form import ENDINGS
from ui.plots import weights
from ui.views import playground as view
from ui.views.adding import told_by_name

TITLE = "Playground"
PLACE = 10

PRODUCTION = "production, else the newest"
NOBODY = "nobody"
ROUTER = "the router"
SILENCE = "nobody answers"
TOGETHER = "the best few answer together"
BARE = "the base model answers by itself"
FALLBACKS = {TOGETHER: "top-k", BARE: "base"}


@dataclass(frozen=True)
class Outcome:
    """Where one answer is shown."""

    said: gr.Textbox
    label: gr.Label
    bars: gr.Plot

    @classmethod
    def build(cls, title: str) -> "Outcome":
        """The components, in the place where this is called."""
        return cls(
            gr.Textbox(label=title, interactive=False, lines=3),
            gr.Label(label="Probabilities of the answer", num_top_classes=view.TOP, visible=False),
            frame("Weights of the router"),
        )

    @property
    def parts(self) -> list[gr.components.Component]:
        """All of them, in the order of `values`."""
        return [self.said, self.label, self.bars]

    @staticmethod
    def values(answer: dict[str, Any] | None) -> list[Any]:
        """What they show of an answer."""
        if answer is None:
            return ["", gr.Label(visible=False), picture(None)]
        label = gr.Label(answer["probabilities"] or None, visible=bool(answer["probabilities"]))
        if not answer["generation"]:
            return [view.sentence(answer), label, picture(None)]
        bars = view.top(answer["weights"]), answer["task"]
        return [view.sentence(answer), label, picture(weights.weights(*bars), weights.said(*bars))]


def build(context: Context) -> None:
    """Text, choices, answer; then a whole table."""
    nothing = empty_state(
        "**There is nothing to ask yet.** Add a task, then fit the router: the tab *Add a task* does both, "
        "as do `registry add-task --data FILE` and `registry retrain-router`.",
        visible=False,
    )
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(label="Text", lines=4, max_length=view.MOST_CHARACTERS, autofocus=True)
            pair = gr.Textbox(label="Second text, for tasks on pairs", lines=1)
            pool = _choice(PRODUCTION, "Generation")
            other = _choice(NOBODY, "Compare with")
            expert = _choice(ROUTER, "Who answers", "the router chooses, or an expert of your choice answers")
            fallback = gr.Dropdown([SILENCE, *FALLBACKS], value=SILENCE, label="If no expert fits")
            ask = gr.Button("Answer", variant="primary")
        with gr.Column():
            first = Outcome.build("Answer")
        with gr.Column(visible=False) as beside:
            second = Outcome.build("Answer of the other")
    agreement = gr.Textbox(label="Side by side", interactive=False, visible=False)
    shell, python = same_as()

    pools = [pool, other]
    when_opened(lambda: _choices(context), [], [nothing, *pools, expert, ask])
    # Stands before every event with inputs: Gradio's client takes the first event of a page for `/predict`,
    # and complains when it has more of them than that.
    gr.on(None, lambda: _choices(context), None, [nothing, *pools, expert, ask], api_visibility="private")

    @warns()
    def show(text: str, pair: str | None, pool: str, other: str, expert: str, fallback: str) -> list[Any]:
        """Ask one generation, or two."""
        if_none = FALLBACKS.get(fallback)
        asked = answer(
            context, text, pair, _named(pool, PRODUCTION), _named(expert, ROUTER), fallback=if_none
        )
        rival = None
        if _named(other, NOBODY) is not None:
            rival = answer(context, text, pair, _named(other, NOBODY), None, fallback=if_none)
        compared = "" if rival is None else view.comparison(asked, rival)
        return [
            *Outcome.values(asked),
            *Outcome.values(rival),
            gr.Column(visible=rival is not None),
            gr.Textbox(compared, visible=rival is not None),
            *_same(text, pair, _named(pool, PRODUCTION), _named(expert, ROUTER), if_none),
        ]

    gr.on(
        [ask.click, text.submit],
        show,
        [text, pair, pool, other, expert, fallback],
        [*first.parts, *second.parts, beside, agreement, shell, python],
        concurrency_id="answers",
        concurrency_limit=2,
        api_visibility="private",
    )
    _offer(context)
    _table(context, pool)


def _offer(context: Context) -> None:
    def predict(
        text: str,
        text_pair: str | None = None,
        generation: str | None = None,
        expert: str | None = None,
        fallback: str | None = None,
        top_k: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        max_new_tokens: int | None = None,
    ) -> dict[str, Any]:
        """Answer a text: by a generation's router (by default production's), or by an expert. The last four
        say how an answer is written."""
        from trainer.decoding import Decoding

        said: dict[str, Any] = {
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
            "max_new_tokens": max_new_tokens,
        }
        decoding = Decoding(**{name: value for name, value in said.items() if value is not None})
        return answer(
            context,
            text,
            text_pair,
            generation,
            expert,
            decoding=decoding,
            fallback=fallback,
            top_k=top_k,
        )

    def list_pools() -> list[dict[str, Any]]:
        """The generations that can answer, newest first, with their experts and aliases."""
        return view.list_pools(context.registry())

    def predict_table(
        file: str,
        request: gr.Request,
        *,
        generation: str | None = None,
        fallback: str | None = None,
        top_k: int | None = None,
    ) -> list[dict[str, Any]]:
        """Answer every row of a file; `options` may name a generation, and say how."""
        return answer_file(context, file, generation, fallback, top_k)

    file_endpoint("predict_table", predict_table)
    endpoint("predict", predict)
    endpoint("list_pools", list_pools)


def _table(context: Context, pool: gr.Dropdown) -> None:
    with gr.Accordion("Answer a whole table", open=False):
        gr.Markdown(
            f"CSV, TSV, JSON Lines or Parquet with a column of texts; at most {view.MOST_ROWS:,} rows here, "
            "any number with `registry predict --data FILE`."
        )
        file = gr.File(label="File", file_types=ENDINGS, type="filepath")
        go = gr.Button("Answer the table")
        said = gr.Textbox(label="Result", interactive=False)
        rows = table("Answers", *view.COLUMNS, numbers=("probability", "weight", "margin"))
        download = gr.DownloadButton("Download as CSV", interactive=False)
        shell, _ = same_as("The same as a command")

    @warns()
    def show(
        file: str | None, pool: str | None = None
    ) -> tuple[str, list[list[Any]], gr.DownloadButton, str]:
        """Answer every row of a file; the CSV file holds nothing that spreadsheets take for a formula."""
        if file is None:
            raise NotFoundError("there is no file yet: choose one")
        answers = answer_file(context, file, _named(pool, PRODUCTION))
        lines = view.table(answers)
        made = Path(file).with_name("answers.csv")
        made.write_bytes(view.to_csv(view.COLUMNS, lines))
        words = ["predict", "--data", Path(file).name]
        return (
            view.counted(answers),
            lines,
            gr.DownloadButton(value=str(made), interactive=True),
            command(*words, *(("--router", pool) if _named(pool, PRODUCTION) else ())),
        )

    go.click(
        show,
        [file, pool],
        [said, rows, download, shell],
        concurrency_id="answers",
        concurrency_limit=2,
        api_visibility="private",
    )


def answer_file(
    context: Context,
    file: str,
    generation: str | None,
    fallback: str | None = None,
    top_k: int | None = None,
) -> list[dict[str, Any]]:
    """An answer to each row of a file."""
    from trainer.data import read_texts

    try:
        texts = read_texts(file)
    except (DataRefusedError, NotFoundError) as error:
        raise DataRefusedError(told_by_name(error, file)) from None
    view.check_count(texts)
    return [
        view.answer(one)
        for one in ask_for(context, list(texts), generation, None, fallback=fallback, top_k=top_k)
    ]


def _choice(first: str, label: str, info: str | None = None) -> gr.Dropdown:
    return gr.Dropdown([first], value=first, label=label, info=info, allow_custom_value=True)


def _named(chosen: str | None, nothing: str) -> str | None:
    return None if not chosen or chosen == nothing else chosen


def _choices(context: Context) -> list[Any]:
    """What can be chosen now; what was chosen before stays chosen."""
    registry: Registry = context.registry()
    pools = [one.name for one in reversed(measured.summaries(registry))]
    experts = measured.names(registry)
    return [
        gr.Markdown(visible=not experts),
        gr.Dropdown([PRODUCTION, *pools]),
        gr.Dropdown([NOBODY, *pools]),
        gr.Dropdown([ROUTER, *experts]),
        gr.Button(interactive=bool(experts)),
    ]


def _same(
    text: str, pair: str | None, generation: str | None, expert: str | None, fallback: str | None
) -> tuple[str, str]:
    words = ["predict"]
    if generation is not None:
        words += ["--router", generation]
    if expert is not None:
        words += ["--expert", expert]
    elif fallback is not None:
        words += ["--fallback", fallback]
    shell = command(*words, "--", text)
    if pair and pair.strip():
        shell = command(*words, "--data", "pairs.csv") + "  # with the columns text and text_pair"
    load = f", expert={expert!r}" if expert is not None else f", {generation!r}" if generation else ""
    asked = (text, pair) if pair and pair.strip() else text
    how = f", fallback={fallback!r}" if fallback and expert is None else ""
    return shell, (
        "from registry import Registry\nfrom trainer import MoE\n\n"
        "with Registry() as registry:\n"
        f"    print(MoE.load(registry{load}).predict([{asked!r}]{how}))\n"
    )
