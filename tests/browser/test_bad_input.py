"""What goes wrong is said in its place, in one line with what to do; everything else keeps working."""

import gzip
import os
import re
import shutil
import signal
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from registry import Registry
from tests.browser.visit import TABS, Visit
from tests.ui.commands import Trained, mood_rows, run, topic_rows, write_csv
from tests.ui.server.serving import Server, eventually, serving
from ui.server.guard import UPLOAD

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
Visiting = Callable[..., Visit]

GOOD = b"text,label\n" + b"".join(b"fine %d,good\ndull %d,bad\n" % (each, each) for each in range(20))
REFUSED = {
    "ragged.csv": (GOOD + b"one,two,three\n", r"line 42: 3 cells .*quote a cell that holds ','"),
    "quote.csv": (GOOD + b'"never closed,good\n', r"line 42: a quote is opened in this row and never closed"),
    "zero.csv": (GOOD + b"a\x00b,good\n", r"line 42: a NUL character; remove it"),
    "latin.csv": (GOOD + b"caf\xe9,good\n", r"line 42: .*UTF-8"),
    "empty-text.csv": (GOOD + b" ,good\n", r"line 42: the text is empty"),
    "lonely.csv": (GOOD + b"so so,middling\n", r"line 42: the label 'middling' has only this row"),
    "invisible.csv": (GOOD + "a,go\u200bod\nb,go\u200bod\n".encode(), r"line 42: .*U\+200B; remove it"),
    "one-label.csv": (b"text,label\na,x\nb,x\n", r"at least two labels are needed"),
    "twice.csv": (b"text,text,label\na,b,x\n", r"line 1: "),
    "header.csv": (b"text,label\n", r"line 1: no rows after the header"),
    "nothing.csv": (b"", r"empty"),
    "broken.jsonl": (b'{"text": "a", "label": "x"}\n{"text": \n', r"line 2: "),
    "gzip.csv": (gzip.compress(GOOD), r"gzip"),
}
"""Files that are refused, and what is said of each."""


def fresh(trained: Trained, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    return home


def test_what_the_reader_refuses_is_said_with_its_line_and_what_to_do(
    server: Server, visit: Visiting, tmp_path: Path
) -> None:
    for name, (content, said) in REFUSED.items():
        seen = visit(server)
        panel = seen.open("Add a task")
        (tmp_path / name).write_bytes(content)
        panel.locator("input[type=file]").set_input_files(tmp_path / name)
        seen.shows("What was found", re.compile(f"^Not taken\\. {re.escape(name)}.*{said}", re.DOTALL))
        expect(seen.button("Train an expert")).to_be_disabled()
        found = seen.box("What was found").input_value()
        assert str(server.home) not in found
        assert "Traceback" not in found
        seen.check()
        seen.page.close()


def test_a_file_that_cannot_be_uploaded_is_told_in_its_place(
    server: Server, visit: Visiting, tmp_path: Path
) -> None:
    seen = visit(server)
    large, packed = tmp_path / "large.csv", tmp_path / "rows.zip"
    large.write_bytes(b"text,label\n" + b"a,b\n" * 13_000_000)
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("rows.csv", GOOD)
    panel = seen.open("Add a task")
    panel.locator("input[type=file]").set_input_files(large)
    assert "maximum allowed size" in seen.warned()
    panel.locator("input[type=file]").set_input_files(packed)
    assert "Invalid file type" in seen.warned()
    expect(seen.button("Train an expert")).to_be_disabled()


def test_two_files_of_one_name_at_once_stay_two(trained: Trained, visit: Visiting, tmp_path: Path) -> None:
    home = fresh(trained, tmp_path)
    files = []
    for number, rows in enumerate((mood_rows(), topic_rows())):
        folder = tmp_path / str(number)
        folder.mkdir()
        files.append(write_csv(folder / "same.csv", rows))
    with serving(home, "--no-worker") as server:
        pages = [visit(server), visit(server)]
        for seen, file in zip(pages, files, strict=True):
            seen.open("Add a task").locator("input[type=file]").set_input_files(file)
        for seen, rows in zip(pages, (mood_rows(), topic_rows()), strict=True):
            seen.shows("What was found", f"{len(rows)} rows can be taken")
            seen.shows("What the name leads to", "same@1")
            expect(seen.cell(rows[0][0])).to_be_visible()
        for seen in pages:
            seen.button("Train an expert").click()
        for seen in pages:
            seen.shows("Now", re.compile(r"Job \d+ \(add task\) is queued"))
        with Registry(home) as registry:
            jobs = registry.jobs.list("queued")
        assert {job.task for job in jobs} == {"same"}
        assert len({str(job.params["rows"]) for job in jobs}) == 2
        for seen in pages:
            seen.check()
            seen.page.close()


def workers(home: Path) -> list[int]:
    """The processes of the server's own worker, and what it has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if os.fsencode(home) in words and b"ui.server.worker" in words:
                found.append(int(path.parent.name))
    return found


def test_a_job_whose_worker_was_killed_goes_on_and_can_be_stopped_and_retried(
    trained: Trained, visit: Visiting, tmp_path: Path
) -> None:
    home = fresh(trained, tmp_path)
    file = write_csv(tmp_path / "again.csv", mood_rows())
    with serving(home) as server:
        seen = visit(server)
        seen.open("Add a task").locator("input[type=file]").set_input_files(file)
        seen.shows("What was found", "120 rows can be taken")
        seen.page.get_by_label("Epochs at most").locator("visible=true").fill("5000")
        seen.unfold("More settings")
        seen.box("Epochs without gain before it stops").fill("5000")
        seen.button("Train an expert").click()
        seen.shows("Now", re.compile(r"Job 4 \(add task\) is running: .*%"))
        for process in workers(home):
            os.kill(process, signal.SIGKILL)
        seen.shows("Now", re.compile(r"Job 4 \(add task\) is needs recovery"))
        seen.shows("Now", re.compile(r"Job 4 \(add task\) is running: .*%"))
        seen.open("Jobs")
        seen.cell("again").click()
        seen.shows("Now", re.compile(r"Job 4 \(add task\) is running"))
        seen.button("Cancel").click()
        seen.shows("Now", re.compile(r"Job 4 \(add task\) is cancelled"))
        seen.button("Retry").click()
        seen.shows("Now", re.compile(r"Job 4 \(add task\) is (queued|running)"))
        seen.button("Cancel").click()
        seen.shows("Now", re.compile(r"Job 4 \(add task\) is cancelled"))
        assert re.fullmatch(
            r"(The worker ended with exit code -9; the next starts in 2 s\.\n|[^\n]*job 4[^\n]*\n)+",
            server.printed(),
            re.IGNORECASE,
        )
        server.log.write_text("")
        seen.check()
        seen.page.close()


def test_what_a_restored_home_no_longer_has_is_told_on_a_page_that_still_lists_it(
    trained: Trained, visit: Visiting, tmp_path: Path
) -> None:
    home = fresh(trained, tmp_path)
    with serving(home, "--no-worker") as server:
        seen = visit(server)
        seen.open("Experts")
        expect(seen.cell("topic@1")).to_be_visible()
    shutil.rmtree(home)
    Registry(home).close()
    with serving(home, "--no-worker", "--port", str(server.address[1])) as server:
        seen.page.wait_for_timeout(2_000)
        seen.allow("ERR_CONNECTION", "ERR_INCOMPLETE_CHUNKED", "Connection", "ERR_NETWORK", "ERR_EMPTY")
        if seen.cell("topic@1").is_visible():
            seen.cell("topic@1").click()
            assert "There is no task 'topic'" in seen.warned()
        for title in TABS:
            seen.open(title)
        seen.open("Experts")
        expect(seen.page.get_by_text("There is no expert yet.")).to_be_visible()
        seen.allow("ERR_CONNECTION", "ERR_INCOMPLETE_CHUNKED", "ERR_NETWORK", "ERR_EMPTY")
        seen.check()
        seen.page.close()


def test_a_retired_task_keeps_its_card(trained: Trained, visit: Visiting, tmp_path: Path) -> None:
    home = fresh(trained, tmp_path)
    with serving(home, "--no-worker") as server:
        seen = visit(server)
        seen.open("Experts")
        seen.choose("topic@1")
        assert run(home, "retire", "topic").code == 0
        seen.button("Measure it again").click()
        seen.shows("Done", re.compile(r"Job \d+ measures topic@1"))
        seen.button("Show").click()
        expect(seen.card("topic@1")).to_be_visible()
        for title in TABS:
            seen.open(title)
        seen.check()
        seen.page.close()


def test_a_damaged_file_is_told_in_one_line_and_everything_else_works(
    trained: Trained, visit: Visiting, tmp_path: Path
) -> None:
    home = fresh(trained, tmp_path)
    damage(home, trained.added["mood"]["sha256"])
    with serving(home, "--no-worker") as server:
        seen = visit(server)
        seen.box("Text").fill("The soup was lovely.")
        seen.button("Answer").click()
        said = seen.warned()
        assert "is damaged" in said.splitlines()[-1]
        assert len(said.splitlines()) == 3  # its title, what closes it, one line
        seen.open("Experts")
        seen.cell("mood@1").click()
        seen.shows("Damaged", re.compile("^[^\n]+$"))
        expect(seen.cell("good")).to_be_visible()
        seen.button("Prepare its file").click()
        assert seen.warned()
        seen.choose("topic@1")
        expect(seen.page.get_by_label("Damaged")).not_to_be_visible()
        seen.open("Continual matrix")
        seen.button("Check every digest").click()
        seen.shows("Digests", "1 of 2 experts of router@1")
        expect(seen.cell("mood@1")).to_be_visible()
        seen.open("Router")
        expect(seen.cell("router@1")).to_be_visible()
        seen.open("Lineage")
        expect(seen.page.locator(".drawn svg")).to_be_visible()
        seen.open("Audit")
        seen.shows("Found", "events")
        seen.open("Playground")
        seen.box("Text").fill("Where is film number 3?")
        seen.unfold("Who answers")
        seen.box("Who answers").fill("topic@1")
        seen.box("Who answers").press("Enter")
        seen.button("Answer").click()
        seen.shows("Answer", "topic@1 answers")
        seen.check()
        seen.page.close()


def damage(home: Path, digest: str) -> None:
    """Flips one bit of a frozen file."""
    [path] = (home / "blobs").rglob(f"*{digest[2:]}*")
    content = bytearray(path.read_bytes())
    content[-9] ^= 4
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(0o400)


def test_an_upload_that_is_too_large_is_refused_to_a_page_at_once(server: Server, visit: Visiting) -> None:
    """Also where the page has not looked at its size first."""
    seen = visit(server)
    script = f"""async () => {{
      const form = new FormData();
      form.append("files", new Blob([new Uint8Array(120_000_000)]), "large.csv");
      return (await fetch("{UPLOAD}", {{method: "POST", body: form}})).status;
    }}"""
    assert seen.page.evaluate(script) == 413
    seen.allow("413")
    assert eventually(lambda: "413" not in "".join(seen.problems))
