"""`predict` and `evaluate`."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ui.commands.jobs import finish
from ui.commands.options import detach_option, device_option
from ui.group import Finite, Session, as_json, common_options, pass_session

if TYPE_CHECKING:
    from trainer.data.texts import Texts
    from trainer.inputs import Input
    from trainer.predictions import Prediction

WEIGHTS = 10
"""The largest weights that are printed of a prediction: a pool may have a thousand."""


@click.command("predict")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--data", help="File of texts: CSV, TSV, JSON Lines or Parquet; no label is needed.")
@click.option("--text", help="Column of the text in --data [default: text].")
@click.option("--text-pair", help="Column of the second text in --data.")
@click.option(
    "--choice", "choices", multiple=True, help="An answer to choose from, of every TEXT; repeat it for each."
)
@click.option("--router", help="Generation to route with, such as router@2 [default: production].")
@click.option("--expert", help="Ask this expert alone, such as boolq@1, and route nothing.")
@click.option("--top-k", type=click.IntRange(1), metavar="K", help="Let the K best experts answer together.")
@click.option(
    "--fallback",
    type=click.Choice(["abstain", "top-k", "base"]),
    help="Where no expert fits: no answer, one of several experts together, or one that the base model "
    "writes by itself [default: abstain].",
)
@click.option("--temperature", type=Finite(min=0), help="Of what is written: 0 draws nothing [default: 0].")
@click.option(
    "--top-p",
    type=Finite(min=0, max=1, min_open=True),
    help="Share of the likeliest words to draw from [default: 1].",
)
@click.option("--seed", type=int, help="Seed of what is drawn [default: 0].")
@click.option("--max-new-tokens", type=int, help="Tokens to write, at most [default: as were learnt].")
@device_option
@common_options
@pass_session
def predict(
    session: Session,
    /,
    *,
    texts: tuple[str, ...],
    data: str | None,
    text: str | None,
    text_pair: str | None,
    choices: tuple[str, ...],
    router: str | None,
    expert: str | None,
    top_k: int | None,
    fallback: str | None,
    device: str,
    **writing: Any,
) -> None:
    """Answer texts: the router picks the expert, or says that none fits.

    TEXT is one text an argument; a single - reads one text a line from stdin. With --fallback top-k several
    experts (3, or --top-k) answer what no expert fits; --top-k alone has K experts answer every text. With
    --fallback base the base model goes on from what no expert fits.
    """
    asked = _asked(texts, data, text, text_pair, choices)
    from trainer.decoding import Decoding
    from trainer.moe import MoE
    from ui.progress import reporting

    decoding = Decoding(**{name: value for name, value in writing.items() if value is not None})

    with reporting() as report:
        with session.open() as registry:
            moe = MoE.load(registry, router, expert=expert, device=device, on_progress=report)
        write = _write_json if session.json else _write_text
        how: dict[str, Any] = {"top_k": top_k, "fallback": fallback, "decoding": decoding}
        write(moe.stream(asked, **how, total=len(asked), on_progress=report))


def _asked(
    texts: tuple[str, ...],
    data: str | None,
    text: str | None,
    text_pair: str | None,
    choices: tuple[str, ...],
) -> "Sequence[Input] | Texts":
    """What the arguments, stdin or the file ask; exactly one of the three."""
    from trainer.data import read_texts
    from trainer.inputs import Input

    if bool(texts) == (data is not None):
        raise click.UsageError("give either texts, a single - for stdin, or --data FILE")
    if data is not None:
        if choices:
            raise click.UsageError("--choice is of texts; in --data they are columns choice_0, choice_1, ...")
        return read_texts(data, text=text, text_pair=text_pair)
    if text or text_pair:
        raise click.UsageError("--text and --text-pair name columns of --data")
    given = [line.rstrip("\n") for line in sys.stdin] if texts == ("-",) else list(texts)
    for one in (*given, *choices):
        # An argument or a line that is not UTF-8 arrives with lone surrogates in place of its bytes.
        if not one.isprintable() and any("\ud800" <= c <= "\udfff" for c in one):
            raise click.UsageError(f"this text is not valid UTF-8: {one!r}")
    kept = [one for one in given if one.strip()] if texts == ("-",) else given
    return [Input(one, choices=choices) for one in kept]


def prediction_json(prediction: "Prediction") -> dict[str, Any]:
    """What `predict --json` prints for one text."""
    from trainer.predictions import largest

    return {
        "text": prediction.text,
        "task": prediction.task,
        "expert": prediction.expert,
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": prediction.probabilities,
        "weights": largest(prediction.weights, WEIGHTS),
        "generation": prediction.generation,
        "cut": prediction.cut,
        "value": prediction.value,
        "index": prediction.index,
        "score": prediction.score,
        "threshold": prediction.threshold,
        "reason": prediction.reason,
        "mixed": prediction.mixed,
        "base_model": prediction.base_model,
    }


def _write_json(predictions: Iterable["Prediction"]) -> None:
    """One object a line, inside one list."""
    before = "["
    for prediction in predictions:
        click.echo(f"{before}\n{as_json(prediction_json(prediction), indent=None)}", nl=False)
        before = ","
    click.echo("\n]" if before == "," else "[]")


def _write_text(predictions: Iterable["Prediction"]) -> None:
    from ui import present

    for prediction in predictions:
        present.echo_prediction(prediction)


@click.command("evaluate")
@click.argument("reference", metavar="[NAME]", required=False)
@click.option("--split", type=click.Choice(["validation", "test"]), default="test", show_default=True)
@click.option("--data", help="File of labelled rows to use instead of the task's own.")
@device_option
@detach_option
@common_options
@pass_session
def evaluate(
    session: Session, reference: str | None, split: str, data: str | None, device: str, detach: bool
) -> None:
    """Measure an expert or a router generation.

    NAME is boolq, boolq@1 or router@2 [default: the generation in production]."""
    from trainer.jobs.evaluate import submit

    with session.open() as registry:
        job = submit(registry, reference, split=split, data=data, device=device)
        finish(session, registry, job, detach=detach)
