"""About: which program, which registry, who is asking."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import gradio as gr

from ui.browser.context import Context
from ui.browser.endpoints import endpoint
from ui.browser.opening import when_opened

TITLE = "About"
PLACE = 99
NOBODY = "nobody: this registry has no users (registry user add NAME)"


class Tab:
    """Its handlers."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def open(self, request: gr.Request) -> list[Any]:
        """Version, home, and who is logged in; only somebody who is can log out."""
        told = self.about(request)
        return [told["version"], told["home"], told["user"] or NOBODY, gr.Button(visible=bool(told["user"]))]

    def about(self, request: gr.Request) -> dict[str, Any]:
        """The version of the program, the home of the registry, and who asks (null: nobody who logged in)."""
        home = str(self.context.registry().home)
        return {"version": _version(), "home": home, "user": self.context.user(request)}


def build(context: Context) -> None:
    """Version, home, user."""
    tab = Tab(context)
    shown = [gr.Textbox(label=label, interactive=False) for label in ("Version", "Home", "Logged in as")]
    log_out = gr.Button("Log out", link="/logout", visible=False)
    when_opened(tab.open, [], [*shown, log_out])
    endpoint("about", tab.about)


def _version() -> str:
    try:
        return version("expert-registry")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "not installed"
