"""Functions as named endpoints of the API: plain JSON in and out, errors in one line."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gradio as gr
from pydantic import ConfigDict, ValidationError, validate_call

from registry.errors import RegistryError
from ui.browser.shared import one_line


def endpoint(api_name: str, function: Callable[..., Any]) -> None:
    """Offers `function`, which is to say the types of all it takes and gives, as `/api_name`."""
    gr.api(refusing(function), api_name=api_name)


def file_endpoint(api_name: str, function: Callable[..., Any]) -> None:
    """Offers `function(file, request, **options)` as `/api_name`, which takes a file that was uploaded
    before, and a JSON object of options."""
    answer = refusing(function)

    @refusing
    def given(file: str, options: dict[str, Any] | None, request: gr.Request) -> Any:
        return answer(file, request, **(options or {}))

    # An endpoint of `gr.api` would take any path for an uploaded file; a component checks where it lies.
    with gr.Row(visible=False):
        file = gr.File(type="filepath", label="file")
        options = gr.JSON({}, label="options")
        result = gr.JSON(label="result")
        trigger = gr.Button(api_name)
    given.__doc__ = function.__doc__
    trigger.click(given, [file, options], result, api_name=api_name)


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
