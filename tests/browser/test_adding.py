"""From a file to production and back, with text in it that means harm, in two lives of a server."""

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

import pyarrow
from playwright.sync_api import Locator, expect
from pyarrow import parquet

from tests.browser.visit import Visit
from tests.ui.commands import mood_rows, write_csv
from tests.ui.server.serving import Server, serving

pytestmark = pytest.mark.timeout(600)
Visiting = Callable[[Server], Visit]

HOSTILE = (
    '<img src=x onerror="window.__xss=1">',
    "<script>window.__xss=1</script>",
    '<svg onload="window.__xss=1"></svg>',
    '<a href="javascript:window.__xss=1">here</a>',
    "{{constructor.constructor('window.__xss=1')()}}${window.__xss=1}",
)
WET, DRY = HOSTILE[0], HOSTILE[1]
PLACES = ("Oslo", "Lima", "Accra", "Hanoi", "Quito", "Perth", "Cairo", "Turin", "Osaka", "Dakar")


def weather_rows() -> list[tuple[str, str]]:
    """Texts and labels of which each holds something hostile."""
    return [
        (f"{sky} over {place} {HOSTILE[number % len(HOSTILE)]}", label)
        for skies, label in (
            (("Rain", "Drizzle", "Showers", "Hail"), WET),
            (("Sunshine", "Drought", "Clear", "Heat"), DRY),
        )
        for number, (sky, place) in enumerate((sky, place) for sky in skies for place in PLACES)
    ]


def real_rows(folder: Path) -> tuple[Path, int]:
    """A public set as it comes, where the real rows are, else one of ours; and how many rows it has."""
    data = Path(os.environ.get("REGISTRY_DATA", Path(__file__).parents[3] / "shared" / "data"))
    found = data / "tasks" / "cb" / "train.csv"
    if not found.is_file():
        found = write_csv(folder / "train.csv", mood_rows())
    with found.open(encoding="utf-8", newline="") as file:
        return found, sum(1 for _ in csv.DictReader(file))


def test_a_task_from_its_file_to_production_and_back(home: Path, visit: Visiting, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "weather.csv", weather_rows())
    with serving(home) as server:
        seen = visit(server)
        choose(seen, file)
        train_and_cancel(seen)
        choose(seen, as_parquet(file))
        train(seen)
        train_on_real_rows(seen, *real_rows(tmp_path))
        fit_the_router(seen)
        ask(seen)
        look_around(seen)
        roll_back(seen)
        seen.check()
    seen.page.close()  # Only now: a server ends in good order also while it is looked at.
    with serving(home, "--no-worker") as server:
        seen = visit(server)
        find_everything(seen)
        seen.check()
        seen.page.close()


def as_parquet(file: Path) -> Path:
    made = file.with_suffix(".parquet")
    with file.open(encoding="utf-8", newline="") as rows:
        parquet.write_table(pyarrow.Table.from_pylist(list(csv.DictReader(rows))), made)
    return made


def choose(seen: Visit, file: Path) -> None:
    seen.open("Add a task").locator("input[type=file]").set_input_files(file)
    seen.shows("What was found", "80 rows can be taken")
    seen.shows("What was found", f"2 labels: {WET} (40), {DRY} (40)")
    for text in HOSTILE:
        expect(seen.cell(text)).to_be_visible()
    seen.shows("What the name leads to", "weather@1")


def train_and_cancel(seen: Visit) -> None:
    """Long enough for a reload in mid-training."""
    epochs(seen).fill("5000")
    seen.unfold("More settings")
    seen.box("Epochs without gain before it stops").fill("5000")
    seen.button("Train an expert").click()
    seen.shows("Job", "4")
    seen.shows("Now", re.compile(r"Job 4 \(add task\) is running: .*%"))
    expect(seen.pictures().first).to_be_visible()
    seen.page.reload()
    seen.open("Add a task")
    seen.shows("Now", re.compile(r"Job 4 \(add task\) is running"))
    seen.button("Cancel").click()
    seen.shows("Now", re.compile(r"Job 4 \(add task\) is cancelled"))


def train(seen: Visit) -> None:
    epochs(seen).fill("2")
    seen.button("Train an expert").click()
    seen.shows("Now", re.compile(r"Job 5 \(add task\) is done.*It made weather@1\."))


def train_on_real_rows(seen: Visit, file: Path, rows: int) -> None:
    seen.page.reload()  # For an empty form.
    seen.open("Add a task").locator("input[type=file]").set_input_files(file)
    seen.shows("What was found", f"{rows:,} rows can be taken")
    seen.shows("What the name leads to", "train@1")  # As the file suggests.
    seen.box("Name of the task").fill("real")
    seen.shows("What the name leads to", "real@1")
    epochs(seen).fill("1")
    seen.button("Train an expert").click()
    seen.shows("Now", re.compile(r"Job 6 \(add task\) is done.*It made real@1\."))


def epochs(seen: Visit) -> Locator:
    return seen.page.get_by_label("Epochs at most").locator("visible=true")


def fit_the_router(seen: Visit) -> None:
    seen.button("Fit the router over all experts").click()
    seen.shows("Now", re.compile(r"Job 7 \(retrain router\) is done.*It made router@2\."))


def ask(seen: Visit) -> None:
    """The new expert answers about weather, and the bars say why; others answer other texts."""
    seen.open("Playground")
    seen.box("Text").fill(f"Drizzle over Lima {HOSTILE[2]}")
    seen.button("Answer").click()
    seen.shows("Answer", "weather@1")
    seen.shows("Answer", re.compile(f"{re.escape(WET)}|{re.escape(DRY)}"))
    bars = seen.pictures()
    expect(bars).to_have_count(1)
    expect(bars).to_have_attribute(
        "alt", re.compile(r"^Weights of the router: weather \d+\.\d% \(chosen\), ")
    )
    seen.box("Text").fill("The soup was lovely.")
    seen.button("Answer").click()
    seen.shows("Answer", "mood@1")
    expect(bars).to_have_attribute("alt", re.compile(r"^Weights of the router: mood \d+\.\d% \(chosen\), "))
    seen.unfold("Who answers")
    seen.box("Who answers").fill("weather@1")
    seen.page.keyboard.press("Enter")
    seen.button("Answer").click()
    seen.shows("Answer", "weather@1 answers")


def look_around(seen: Visit) -> None:
    """Where texts and labels stand, they stand as they are."""
    seen.open("Experts")
    seen.choose("weather@1")
    for text in HOSTILE[:2]:
        expect(seen.cell(text)).to_be_visible()
    seen.open("Lineage")
    seen.box("Expert or generation").fill("weather@1")
    seen.button("Show").click()
    expect(seen.cell("weather/data@1")).to_be_visible()
    assert seen.page.locator("a[href^='javascript:']").count() == 0


def roll_back(seen: Visit) -> None:
    seen.open("Router")
    expect(seen.cell("router@2")).to_be_visible()
    seen.box("Why").fill(HOSTILE[3])
    seen.button("Roll production back").click()
    seen.shows("Done", "router@production stands for router@1 again.")
    seen.open("Audit")
    expect(seen.cell(HOSTILE[3])).to_be_visible()


def find_everything(seen: Visit) -> None:
    """In the next life of the server."""
    seen.open("Jobs")
    for state in ("cancelled", "done"):
        expect(seen.cell(state)).to_be_visible()
    seen.shows("Now", "Job 7 (retrain router) is done")
    seen.open("Experts")
    expect(seen.cell("weather@1")).to_be_visible()
    seen.open("Audit")
    expect(seen.cell(HOSTILE[3])).to_be_visible()
