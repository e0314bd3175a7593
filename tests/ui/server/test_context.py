"""What tabs are given: one registry, loaded generations, and who may change anything."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from registry.errors import NotFoundError
from tests.ui.commands import Trained
from ui.browser.context import KEPT, Context, NotLoggedInError
from ui.browser.shared import call, command, escape, one_line


@dataclass
class Asked:
    """A request as Gradio hands it on."""

    username: str | None


@pytest.fixture
def context(trained: Trained) -> Iterator[Context]:
    made = Context(trained.home, device="cpu")
    yield made
    made.close()


def test_all_threads_get_one_registry(context: Context) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: context.registry(), range(32)))
    assert all(one is found[0] for one in found)


def test_generations_stay_loaded_and_share_their_base_model(context: Context) -> None:
    production = context.moe()
    assert context.moe("router@1") is production
    alone = [context.moe(expert=name) for name in ("mood", "topic")]
    assert [one.base for one in alone] == [production.base] * 2
    assert alone[0].predict(["The film was fine."])[0].expert == "mood@1"
    assert len(context._loaded) == KEPT
    with pytest.raises(NotFoundError, match="router@9"):
        context.moe("router@9")


def test_many_may_ask_at_once(context: Context) -> None:
    texts = [f"The film was fine, number {number}." for number in range(8)]
    expected = [one.weights for one in context.moe().predict(texts)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: context.moe().predict([text])[0].weights, texts))
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_without_users_everybody_may_change_anything(context: Context) -> None:
    for name in (None, ""):
        assert context.user(Asked(name)) is None  # type: ignore[arg-type]
        assert context.require(Asked(name)) is None  # type: ignore[arg-type]


def test_with_users_only_they_may(context: Context) -> None:
    context.registry().users.add("ada", "correct horse")
    try:
        assert context.require(Asked("ada")) == "ada"  # type: ignore[arg-type]
        for nobody in (None, Asked(None), Asked("")):
            with pytest.raises(NotLoggedInError, match="open /login, or send a token"):
                context.require(nobody)  # type: ignore[arg-type]
    finally:
        context.registry().users.remove("ada")


def test_what_is_copied_is_what_was_done() -> None:
    assert command("predict", "it's <b>; rm -rf /") == "registry predict 'it'\"'\"'s <b>; rm -rf /'"
    assert call("add", "a'b", rows=2) == 'add("a\'b", rows=2)'


def test_foreign_text_in_markdown_of_ours_is_no_markup() -> None:
    assert escape("<b>*a*</b> [x](y) `c` $d$ &amp;") == (r"\<b\>\*a\*\</b\> \[x\]\(y\) \`c\` \$d\$ \&amp;")


def test_an_error_is_one_sentence() -> None:
    assert one_line(NotFoundError("there is\nno task")) == "There is no task."
    assert one_line(NotFoundError("Did you mean 'a'?")) == "Did you mean 'a'?"
