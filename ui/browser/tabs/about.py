"""About: which program, which registry."""

from importlib.metadata import PackageNotFoundError, version

import gradio as gr

from ui.browser.context import Context

TITLE = "About"
PLACE = 99


def build(context: Context) -> None:
    """Version and home."""
    gr.Textbox(_version(), label="Version", interactive=False)
    gr.Textbox(str(context.registry().home), label="Home", interactive=False)


def _version() -> str:
    try:
        return version("expert-registry")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "not installed"
