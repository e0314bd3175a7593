"""Asking experts that choose and experts that write."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.visit import Visit
from tests.trainer.tasks.samples import write
from tests.ui.commands import run
from tests.ui.server.serving import Server, serving

pytestmark = pytest.mark.timeout(300)
Visiting = Callable[[Server], Visit]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory, tiny_llama_folder: Path) -> Iterator[Server]:
    """A server of a home with an expert that chooses and one that writes."""
    folder = tmp_path_factory.mktemp("kinds")
    common = ("--base-model", str(tiny_llama_folder), "--epochs", "1", "--device", "cpu")
    for kind, options in (("multiple_choice", ()), ("text_generation", ("--max-target", "40"))):
        done = run(folder / "home", "add-task", "--data", str(write(folder, kind)), *options, *common)
        assert done.code == 0, done.err
    assert run(folder / "home", "retrain-router", "--router", "closed_form", "--device", "cpu").code == 0
    with serving(folder / "home", "--no-worker") as running:
        yield running


def test_a_text_with_choices_is_answered_with_one_of_them(kinds: Server, visit: Visiting) -> None:
    seen = visit(kinds)
    seen.box("Text").fill("Which one is red?")
    seen.unfold("A second text, or choices")
    seen.box("Choices").fill("the film is red\n\n  a cloud\na river\n")
    seen.button("Answer").click()
    seen.shows("Answer", re.compile("^multiple_choice@1 answers “(the film is red|a cloud|a river)”"))
    expect(seen.box("What was written")).to_have_count(0)
    seen.box("Choices").fill("a cloud")
    seen.button("Answer").click()
    assert "One choice is none: 'a cloud' needs another beside it." in seen.warned()


def test_what_is_written_is_shown_as_text_and_as_it_was_asked_for(kinds: Server, visit: Visiting) -> None:
    seen = visit(kinds)
    seen.box("Text").fill("Say it of the film: red.")
    seen.button("Answer").click()
    seen.shows("Answer", re.compile("^text_generation@1 wrote what stands below"))
    written = seen.box("What was written")
    likeliest = written.input_value()
    seen.unfold("How answers are written")
    expect(seen.box("Temperature")).to_have_count(0)
    seen.page.get_by_label("drawn at random").check()
    for label, value in (("Temperature", "2"), ("Top-p", "0.9"), ("Seed", "1"), ("Tokens at most", "5")):
        seen.box(label).fill(value)
    seen.button("Answer").click()
    expect(written).not_to_have_value(likeliest)
    seen.unfold("The same as a command and in Python")
    said = "--temperature 2 --top-p 0.9 --seed 1 --max-new-tokens 5 -- "
    expect(seen.page.get_by_text(said)).to_be_visible()
    seen.box("Temperature").fill("11")
    seen.button("Answer").click()
    assert "Temperature 11 must be from 0 to 10." in seen.warned()
