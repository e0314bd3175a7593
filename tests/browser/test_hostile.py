"""Text that means harm, in every field and file: shown as it is, it runs nowhere and asks no other host."""

import csv
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from registry import Registry
from registry.errors import InvalidSettingError
from tests.browser.hostile import ESCAPES, LABELS, LINE, LONG, NAMES, TEXTS, shown
from tests.browser.visit import TABS, Visit
from tests.tiny_models import tiny_llama
from tests.ui.commands import Trained, run, write_csv
from tests.ui.server.serving import PASSWORD, Server, serving
from trainer.executors.local import log

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
Visiting = Callable[..., Visit]

COLUMNS = ("<img src=x onerror=window.__xss=1>", "{{7*7}}<script>window.__xss=1</script>")
FILE = "<img src=x onerror=window.__xss=1>.csv"


def rows() -> list[tuple[str, ...]]:
    """Each label three times, and with them all texts."""
    return [
        (f"{TEXTS[number % len(TEXTS)]} {number}", LABELS[number % len(LABELS)])
        for number in range(3 * len(LABELS))
    ]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("hostile") / FILE, rows(), COLUMNS)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def harmed(trained: Trained, file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A home with an expert whose rows, labels, columns and file mean harm; so do a reason and a log."""
    folder = tmp_path_factory.mktemp("harmed")
    home = folder / "home"
    shutil.copytree(trained.home, home)
    base = str(tiny_llama(folder / "tiny"))
    columns = ("--text", COLUMNS[0], "--label", COLUMNS[1])
    common = ("--base-model", base, "--epochs", "1", "--device", "cpu")
    assert run(home, "add-task", "--data", str(file), "--name", "harm", *columns, *common).code == 0
    assert run(home, "retrain-router", "--promote", "--device", "cpu").code == 0
    with Registry(home) as registry:
        registry.promote("harm@1", alias="stable", reason=LINE, actor="eve")
        newest = registry.jobs.list(limit=1)[0]
        failed = registry.jobs.enqueue("no such kind", {"<b>": LINE}, task="harm")
    for job in (newest, failed):
        log(home, job.id).write_text("\n".join((*TEXTS, ESCAPES, LONG)), encoding="utf-8")
    with serving(home, "--no-worker") as running:
        yield running


def test_every_field_of_the_playground_takes_text_as_text(
    harmed: Server, visit: Visiting, tmp_path: Path
) -> None:
    seen = visit(harmed)
    for text in (LINE, LONG, ESCAPES):
        seen.box("Text").fill(text)
        ask(seen)
        expect(seen.pictures()).to_have_count(1)
    seen.unfold("A second text, or choices")
    seen.box("Second text").fill(LINE)
    ask(seen)
    seen.unfold("Who answers")
    for name in ("Generation", "Compare with", "Who answers"):
        before = seen.box(name).input_value()
        for text in (LINE, before):
            seen.box(name).fill(text)
            seen.box(name).press("Tab")
            ask(seen)
            if text == LINE:
                assert seen.warned()
    seen.check()
    texts = tmp_path / FILE
    write_csv(texts, [(text,) for text in (*TEXTS, LONG)], ("text",))
    answer_a_table(seen, texts)


def ask(seen: Visit) -> None:
    """Waits for the answer: a click while one is on its way counts for nothing."""
    with seen.page.expect_response(lambda response: "/queue/join" in response.url):
        seen.button("Answer").click()
    seen.page.wait_for_timeout(300)
    expect(seen.page.locator(".progress-text:visible, .meta-text:visible")).to_have_count(0)


def answer_a_table(seen: Visit, file: Path) -> None:
    """Each text stands in its row, and as no formula in the file that comes back."""
    seen.unfold("Answer a whole table")
    panel = seen.page.locator("[role=tabpanel]:visible")
    panel.locator("input[type=file]").first.set_input_files(file)
    expect(panel.get_by_text(FILE[:12]).first).to_be_visible()
    seen.button("Answer the table").click()
    seen.shows("Result", f"{len(TEXTS) + 1} rows answered")
    cells = {shown(cell) for cell in seen.cells()}
    assert {shown(text) for text in TEXTS} - cells == set()
    with seen.page.expect_download() as download:
        seen.button("Download as CSV").click()
    content = Path(download.value.path()).read_text(encoding="utf-8-sig")
    answers = list(csv.DictReader(io.StringIO(content)))
    assert [each["text"].removeprefix("'") for each in answers] == [
        text.removeprefix("'") for text in (*TEXTS, LONG)
    ]
    for each in answers:
        for cell in each.values():
            assert not cell.startswith(("=", "+", "@", "\t", "\r"))


def test_a_warning_shows_what_it_repeats_as_text(harmed: Server, visit: Visiting) -> None:
    """Gradio takes a warning for HTML: text in it could become a link or a picture."""
    seen = visit(harmed)
    seen.box("Text").fill("a text")
    seen.unfold("Who answers")
    toast = seen.page.get_by_test_id("toast-text").last
    for text in (*TEXTS, ESCAPES):
        seen.box("Who answers").fill(text)
        seen.box("Who answers").press("Tab")
        seen.button("Answer").click()
        expect(toast).to_be_visible()
        assert toast.locator("*").count() == 0, text
        said = seen.warned()
        assert "\\." not in said
        for word in (word for word in text.split() if word.isprintable() and not set(word) & set("'\\@")):
            assert word in said


def test_a_file_that_means_harm_is_shown_as_it_is(harmed: Server, visit: Visiting, file: Path) -> None:
    seen = visit(harmed)
    panel = seen.open("Add a task")
    panel.locator("input[type=file]").set_input_files(file)
    seen.shows("What was found", "Not taken.")
    seen.unfold("If the columns do not say what they are")
    for name, column in (("Column of the text", COLUMNS[0]), ("Column of the label", COLUMNS[1])):
        seen.box(name).fill(column)
        seen.box(name).press("Enter")
    seen.shows("What was found", f"{3 * len(LABELS)} rows can be taken")
    seen.shows("What was found", f"{len(LABELS)} labels:")
    cells = {shown(cell) for cell in seen.cells()}
    assert shown(f"{TEXTS[0]} 0") in cells
    assert shown(LABELS[0]) in cells
    heads = panel.locator("th:visible").all_inner_texts()
    assert any(COLUMNS[0] in head for head in heads)
    for name in (LINE[:64], *NAMES):
        seen.box("Name of the task").fill(name)
        seen.shows("What the name leads to", "task")
    seen.unfold("More settings")
    seen.box("Preset of its shape").fill(LABELS[0])
    seen.box("Preset of its shape").press("Tab")
    seen.shows("What it will take", "script")
    seen.button("Train an expert").click()
    assert "script" in seen.warned()
    seen.box("Base model").fill(LINE)
    seen.box("Base model").press("Enter")
    seen.button("Train an expert").click()
    assert seen.warned()


def test_cards_show_what_means_harm_as_it_is(harmed: Server, visit: Visiting) -> None:
    seen = visit(harmed)
    seen.open("Experts")
    seen.box("Find").fill(LINE)
    seen.box("Find").press("Enter")
    expect(seen.page.locator("[role=gridcell]:visible")).to_have_count(0)
    seen.box("Expert").fill(LINE)
    seen.button("Show").click()
    assert seen.warned()
    seen.box("Expert").fill("harm")
    seen.button("Show").click()
    expect(seen.cell("harm/data@1")).to_be_visible()
    cells = {shown(cell) for cell in seen.cells()}
    assert {shown(label) for label in LABELS} - cells == set()
    assert {shown(FILE), COLUMNS[0], COLUMNS[1]} - cells == set()
    for field in ("Alias of its task", "Why"):
        seen.box(field).fill(LINE)
    seen.button("Let the alias stand for it").click()
    assert "An alias cannot be named" in seen.warned()
    seen.open("Lineage")
    seen.box("Expert or generation").fill(LINE)
    seen.button("Show").click()
    assert seen.warned()
    seen.box("Expert or generation").fill("harm@1")
    seen.button("Show").click()
    expect(seen.page.get_by_label("Lineage of harm@1, a picture that scrolls")).to_be_visible()
    seen.cell("harm/data@1").click()
    expect(seen.cell(FILE)).to_be_visible()
    expect(seen.cell(LABELS[0])).to_be_visible()


def test_router_and_matrix_take_text_as_text(harmed: Server, visit: Visiting) -> None:
    seen = visit(harmed)
    seen.open("Router")
    expect(seen.card("router@2")).to_be_visible()
    seen.box("Generation").fill(LINE)
    seen.button("Show").click()
    assert seen.warned()
    seen.box("Why").fill(LINE)
    seen.button("Roll production back").click()
    seen.shows("Done", "router@production stands for router@1 again.")
    expect(seen.cell(TEXTS[0])).to_be_visible()
    seen.unfold("Settings of the fit")
    seen.box("Experts to route to").fill(LINE)
    seen.box("Experts to route to").press("Enter")
    seen.button("Fit the next generation").click()
    assert "names nothing" in seen.warned()
    seen.open("Continual matrix")
    expect(seen.pictures().first).to_be_visible()
    seen.box("Only tasks whose name holds").fill(LINE)
    seen.box("Only tasks whose name holds").press("Enter")
    expect(seen.pictures()).to_have_count(0)


def test_jobs_and_audit_show_text_as_text(harmed: Server, visit: Visiting) -> None:
    seen = visit(harmed)
    seen.open("Jobs")
    seen.cell("no such kind").click()
    seen.shows("Now", "is queued")
    seen.unfold("Log")
    logged = seen.box("Last lines")
    expect(logged).to_have_value(shown_in_a_box("\n".join((*TEXTS, ESCAPES, LONG))))
    seen.unfold("Do it again with other settings")
    for text in (LINE, f'{{"preset": "{LABELS[0]}"}}', f'"{TEXTS[-1]}"'):
        seen.box("Settings (JSON)").fill(text)
        seen.button("Queue a clone").click()
        assert seen.warned()
    seen.open("Audit")
    seen.shows("Found", " events, page 1")
    for field in ("Subject", "Actor"):
        seen.box(field).fill(LINE)
        seen.box(field).press("Enter")
        seen.shows("Found", "Nothing found")
        seen.box(field).fill("")
        seen.box(field).press("Enter")
        seen.shows("Found", " events, page 1")
    seen.box("Any text").fill(LABELS[0])
    seen.box("Any text").press("Enter")
    expect(seen.cell(LABELS[0])).to_be_visible()
    assert any(shown(LINE) in shown(cell) for cell in seen.cells())


def shown_in_a_box(text: str) -> str:
    """What is left of a text in a field: browsers make one kind of line end of all."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def test_after_all_of_it_every_tab_opens(harmed: Server, visit: Visiting) -> None:
    seen = visit(harmed)
    for title in TABS:
        expect(seen.open(title)).to_be_visible()
    panel = seen.page.locator("body")
    assert panel.locator("a[href^='javascript:'], iframe, base, img[src='x'], form, math").count() == 0


def test_no_user_can_be_called_so(tmp_path: Path) -> None:
    with Registry(tmp_path / "home") as registry:
        for name in (*TEXTS, LONG, ESCAPES):
            if name not in ("undefined", "constructor"):
                with pytest.raises(InvalidSettingError):
                    registry.users.add(name, PASSWORD)
