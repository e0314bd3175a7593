"""Parts that several tabs use: what to do when there is nothing, what went wrong, the same as a command."""

import functools
import html
import shlex
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import gradio as gr

from registry.errors import RegistryError

P = ParamSpec("P")
R = TypeVar("R")


def same_as(label: str = "The same as a command and in Python") -> tuple[gr.Code, gr.Code]:
    """Two boxes to copy from, in a fold: a shell command and Python; fill them with `command` and code."""
    with gr.Accordion(label, open=False):
        shell = gr.Code(label="Command", language="shell", interactive=False)
        python = gr.Code(label="Python", language="python", interactive=False)
    return shell, python


def command(*words: str) -> str:
    """A command line that a shell reads as exactly these words."""
    return shlex.join(["registry", *words])


def call(function: str, *positional: object, **named: object) -> str:
    """A Python call with these values, as one writes it."""
    given = [repr(value) for value in positional] + [f"{name}={value!r}" for name, value in named.items()]
    return f"{function}({', '.join(given)})"


def escape(text: str) -> str:
    """Text for the middle of Markdown of ours: nothing in it is markup."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()#+-.!|~>&<$:" else letter for letter in text)


def heading(name: str) -> str:
    """What stands above a card, in Markdown."""
    return f"### {escape(name)}"


LONGEST = 600
"""Letters of an error that are shown: some repeat what they were given."""


def one_line(error: RegistryError) -> str:
    """What an error says, as a sentence."""
    said = " ".join(str(error).split())
    if len(said) > LONGEST:
        said = f"{said[: LONGEST // 2]} … {said[-LONGEST // 2 :]}"
    return said[:1].upper() + said[1:] + ("" if said.endswith((".", "?", "!", ")")) else ".")


def warns(*otherwise: object) -> Callable[[Callable[P, R]], Callable[P, R | object]]:
    """Lets an error of the registry become a warning; the outputs get `otherwise`, or stay as they are."""

    def decorate(handler: Callable[P, R]) -> Callable[P, R | object]:
        @functools.wraps(handler)
        def safe(*args: P.args, **kwargs: P.kwargs) -> R | object:
            try:
                return handler(*args, **kwargs)
            except RegistryError as error:
                gr.Warning(html.escape(one_line(error)))  # Gradio shows it as HTML.
                return _values(otherwise)

        return safe

    return decorate


def _values(values: Sequence[object]) -> object:
    if not values:
        return gr.skip()
    return values[0] if len(values) == 1 else tuple(values)


def beside() -> gr.Row:
    """A row of fields, and of buttons that stand at their foot."""
    return gr.Row(elem_classes="beside")


def empty_state(*lines: str, visible: bool = True) -> gr.Markdown:
    """What to do when there is nothing yet; `lines` are ours, never foreign text."""
    return gr.Markdown("\n\n".join(lines), visible=visible)
