"""Functions as named endpoints of the API: plain JSON in and out, errors in one line."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gradio as gr
from pydantic import ConfigDict, ValidationError, validate_call

from registry.errors import InvalidSettingError, RegistryError
from ui.browser.shared import one_line


def endpoint(api_name: str, function: Callable[..., Any]) -> None:
    """Offers `function`, which is to say the types of all it takes and gives, as `/api_name`."""
    gr.api(refusing(function), api_name=api_name)


HELD_OUT = ("validation", "test")
ONE, ONE_AND_HELD_OUT, SEVERAL = "one", "one and held out", "several"
"""Files that an endpoint takes: one, one with files of validation and test rows if there are any, several."""


def file_endpoint(api_name: str, function: Callable[..., Any], takes: str = ONE) -> None:
    """Offers `function(file, request, **options)` as `/api_name`, which takes a file that was uploaded
    before, and a JSON object of options; or a list of files; or two files more, `validation` and `test`,
    which may be left out."""
    answer = refusing(function)

    @refusing
    def one(file: str, options: dict[str, Any] | None, request: gr.Request) -> Any:
        return answer(file, request, **_free(options))

    @refusing
    def held_out(
        file: str,
        options: dict[str, Any] | None,
        request: gr.Request,
        validation: str | None = None,
        test: str | None = None,
    ) -> Any:
        return answer(file, request, **_free(options), validation=validation, test=test)

    @refusing
    def several(files: list[str], options: dict[str, Any] | None, request: gr.Request) -> Any:
        return answer(files, request, **_free(options))

    given = {ONE: one, ONE_AND_HELD_OUT: held_out, SEVERAL: several}[takes]
    # An endpoint of `gr.api` would take any path for an uploaded file; a component checks where it lies.
    with gr.Row(visible=False):
        file = gr.File(type="filepath", label="file", file_count="multiple" if takes == SEVERAL else "single")
        more = [gr.File(type="filepath", label=name) for name in HELD_OUT if takes == ONE_AND_HELD_OUT]
        options = gr.JSON({}, label="options")
        result = gr.JSON(label="result")
        trigger = gr.Button(api_name)
    given.__doc__ = function.__doc__
    trigger.click(given, [file, options, *more], result, api_name=api_name)


def _free(options: dict[str, Any] | None) -> dict[str, Any]:
    """The options, of which none may name a file.

    Raises:
        InvalidSettingError: one does.
    """
    for name in HELD_OUT:
        if name in (options or {}):
            raise InvalidSettingError(f"{name} is a file: upload it, and give it beside the options")
    return options or {}


def refusing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the types of what it is given checked, and its errors as one line for a client."""
    names = list(inspect.signature(function).parameters)
    checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(function)

    @functools.wraps(function)
    def answer(*given: Any, **named: Any) -> Any:
        try:
            return checked(*given, **named)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = wrong["loc"][0]
            name = names[place] if isinstance(place, int) and place < len(names) else place
            raise gr.Error(f"{name}: {wrong['msg']}", print_exception=False) from None
        except RegistryError as error:
            raise gr.Error(one_line(error), print_exception=False) from None

    return answer
