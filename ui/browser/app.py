"""The whole page: every tab that there is, in its order."""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import gradio as gr

from ui.browser import tabs
from ui.browser.context import NAME, Context
from ui.browser.opening import linked_tab


class Tab(Protocol):
    """What a module of `ui.browser.tabs` has."""

    TITLE: str
    PLACE: int
    build: Callable[[Context], None]


def every_tab() -> list[Tab]:
    """All tabs, in their order."""
    names = [found.name for found in pkgutil.iter_modules(tabs.__path__)]
    modules = [cast(Tab, importlib.import_module(f"{tabs.__name__}.{name}")) for name in names]
    return sorted(modules, key=lambda tab: (tab.PLACE, tab.TITLE))


class Page(gr.Blocks):  # type: ignore[misc]
    """Blocks that tell whoever sends values of wrong kinds so, in one line and without a trace in the log."""

    async def preprocess_data(self, function: Any, inputs: list[Any], *given: Any, **named: Any) -> list[Any]:
        """What a function is given, of what was sent; the last of it may be left out, so that what a program
        sends is still enough when a function has learned more."""
        left_out = [getattr(block, "value", None) for block in function.inputs[len(inputs) :]]
        try:
            taken: list[Any] = await super().preprocess_data(function, [*inputs, *left_out], *given, **named)
            return taken
        except (TypeError, ValueError, LookupError, AttributeError):
            raise gr.Error(
                "These are not the values that the function takes; /gradio_api/info lists them.",
                print_exception=False,
            ) from None


def build(context: Context) -> gr.Blocks:
    """The page; an hour after its last use, a file that somebody uploaded or downloaded is gone."""
    with Page(title=NAME, analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        gr.Markdown(f"# {NAME}")
        known = every_tab()
        with gr.Tabs() as shown:
            for tab in known:
                with gr.Tab(tab.TITLE, id=_id(tab)):
                    tab.build(context)
        names = {_id(tab) for tab in known}

        def follow(request: gr.Request) -> Any:
            """Open the tab that the page's address names."""
            wanted = linked_tab(request)
            return gr.Tabs(selected=wanted) if wanted in names else gr.skip()

        blocks.load(follow, None, shown, api_visibility="private", show_progress="hidden")
    for function in blocks.fns.values():
        function.show_progress_on = _place_of_progress(function.outputs)
    blocks.queue(max_size=50, default_concurrency_limit=4)
    return blocks


def _place_of_progress(outputs: Sequence[gr.blocks.Block]) -> list[gr.blocks.Block]:
    """The first part that holds little, and is no text to read, which would fade. With each step of a
    function the page copies, text by text, all that the parts hold on which its progress is shown; with a
    thousand experts that takes seconds."""
    full = (gr.blocks.BlockContext, gr.Dataframe, gr.Dropdown, gr.Markdown, gr.State)
    return [output for output in outputs if not isinstance(output, full)][:1]


def _id(tab: Tab) -> str:
    return tab.TITLE.lower().replace(" ", "-")
