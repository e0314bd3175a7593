"""A mixture of experts is asked for in the browser, and its job leads to the generation."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Locator, expect

from registry import Registry
from tests.browser.hostile import LINE
from tests.browser.test_files import upload
from tests.browser.visit import Visit
from tests.ui.commands import mood_rows, run, write_csv
from tests.ui.server.serving import Server

pytestmark = pytest.mark.timeout(300)
Visiting = Callable[[Server], Visit]

FOLD = "Train a mixture: experts that act together on every token"


def unfolded(seen: Visit) -> Locator:
    panel = seen.open("Router")
    expect(seen.card("router@1")).to_be_visible()
    seen.unfold(FOLD)
    return panel


def choose(seen: Visit, *experts: str) -> None:
    for name in experts:
        seen.box("Experts that mix").fill(name)
        seen.box("Experts that mix").press("Enter")


def test_a_mixture_is_trained_and_named_by_its_corpus(
    server: Server, home: Path, visit: Visiting, tmp_path: Path
) -> None:
    corpus = write_csv(tmp_path / "said.csv", [(f"{text} So it is.",) for text, _ in mood_rows()], ("text",))
    seen = visit(server)
    panel = unfolded(seen)
    expect(seen.button("Train a mixture")).to_be_disabled()
    choose(seen, "mood@1")
    upload(panel, "Corpus").set_input_files(corpus)
    seen.shows("What the corpus is", "Choose two experts or more.")
    choose(seen, "topic@1")
    seen.shows("What the corpus is", "120 rows can be taken")
    seen.shows("What the corpus is", "Learnt of each row: every token of its text.")
    seen.shows("What will come of it", "the next version of each of mood@1, topic@1")
    panel.get_by_label("Freeze the experts").check()
    seen.shows("What will come of it", "mood@1, topic@1 stay as they are, and a gate weighs them.")
    panel.get_by_label("Epochs of the mixture, at most").fill("1")
    seen.button("Train a mixture").click()
    seen.shows("Asked for", re.compile(r"Job \d+ trains the mixture; see the tab Jobs\."))
    seen.unfold("What was asked for, as a command and in Python")
    said = "registry train-mixture --data said.csv --experts mood@1 topic@1 --epochs 1 --freeze-experts"
    expect(seen.page.get_by_text(said)).to_be_visible()
    assert run(home, "worker", "--drain").code == 0
    seen.open("Jobs")
    seen.cell("train mixture").click()
    seen.shows("Now", re.compile(r"\(train mixture\) is done\. It made router@2\."))
    expect(seen.pictures().first).to_be_visible()
    with Registry(home) as registry:
        assert registry.generation("router@2").experts == ("mood@1", "topic@1")
    seen.open("Lineage")
    seen.box("Expert or generation").fill("router@2")
    seen.button("Show").click()
    expect(seen.card("Lineage of router@2")).to_be_visible()
    seen.cell("said.csv: ").click()
    expect(seen.cell("rows.train")).to_be_visible()


def test_a_corpus_that_cannot_be_learnt_is_refused_in_its_place(
    server: Server, visit: Visiting, tmp_path: Path
) -> None:
    labels = write_csv(tmp_path / "labels.csv", [(text, LINE) for text, _ in mood_rows()[:20]])
    seen = visit(server)
    panel = unfolded(seen)
    upload(panel, "Corpus").set_input_files(labels)
    choose(seen, "mood@1", "topic@1")
    seen.shows(
        "What the corpus is", re.compile(r"^Not taken\. labels\.csv, line 1: the column 'label' holds")
    )
    expect(seen.button("Train a mixture")).to_be_disabled()
