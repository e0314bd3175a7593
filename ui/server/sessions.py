"""What the app remembers of each page and of each call of a program."""

from dataclasses import dataclass, field
from typing import Any

from gradio import Blocks
from gradio.state_holder import SessionState, StateHolder

MOST = 250
"""Whose state the app remembers; Gradio keeps 10,000. The page of one that was forgotten goes on with what it
was when it was opened."""


@dataclass
class _Unseen:
    """Blocks as a session's state sees them that has described none of them."""

    default_config: Any
    blocks: dict[int, Any] = field(default_factory=dict)


class Session(SessionState):  # type: ignore[misc]
    """The state of one page or call.

    Gradio describes every part of the page for every session that begins, and every call of a program is one:
    40 milliseconds and half a megabyte each, for links to a page in a certain state, which there are none of
    here. A part is described when its value changes.
    """

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(_Unseen(blocks.default_config))


class Sessions(StateHolder):  # type: ignore[misc]
    """The states of all of them, the one longest unused forgotten first."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__()
        blocks.state_session_capacity = MOST
        self.set_blocks(blocks)

    def __getitem__(self, session: str) -> SessionState:
        if session not in self.session_data:
            self.session_data[session] = Session(self.blocks)
        return super().__getitem__(session)
