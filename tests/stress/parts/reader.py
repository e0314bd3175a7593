"""Any rows, any damage and any bytes: the reader of data files, and what reads tensors and stored JSON."""

import importlib.util
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.stress.sizes import Progress, sized
from tests.trainer.data.properties import PROPERTIES

TITLE = "rows written, damaged and read by hypothesis; any bytes, by atheris"
TARGET = (
    "10,000 cases and 10 minutes: the same data or a refusal with a line number, no label changed, nothing "
    "uncaught, less than 512 MB"
)
MINUTES = 12.0
SMALL = 0.002

CASES = 10_000
SECONDS = 600
MEMORY = 512
# Two run side by side: the reader all the time, the other two one after the other; in a small run the first.
LANES = ((("csv", 1.0),), (("tensors", 0.5), ("config", 0.5)))
STATISTICS = re.compile(r"^stat::(\w+): +(\d+)$", re.MULTILINE)


def missing() -> str | None:
    """Why bytes cannot be fuzzed here, or `None`."""
    if importlib.util.find_spec("atheris") is None:
        return "atheris is not installed: pip install 'expert-registry[stress]'"
    return None


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Counts the cases of each kind and those that failed; inputs that atheris found stay in `corpus`."""
    why = missing()
    if why is not None:
        raise SystemExit(f"The part reader cannot run: {why}.")
    figures: dict[str, int | float] = {"cases": 0, "refuted": 0}
    each = sized(CASES, scale, len(PROPERTIES)) / len(PROPERTIES)
    progress = Progress(round(each * len(PROPERTIES)), "cases")
    for check, strategies in PROPERTIES.items():
        tried, holds = put_to_the_test(check, strategies, folder, round(each + 0.5), progress)
        figures["cases"] += tried
        figures["refuted"] += not holds
    figures |= {"fuzz_seconds": 0, "inputs": 0, "uncaught": 0, "mb_memory": 0}
    lanes = LANES if scale > 0.01 else LANES[:1]
    with ThreadPoolExecutor(len(lanes)) as pool:
        for lane in pool.map(lambda lane: fuzz(folder, lane, SECONDS * scale), lanes):
            for one in lane:
                figures["inputs"] += one["inputs"]
                figures["uncaught"] += one["uncaught"]
                figures["mb_memory"] = max(figures["mb_memory"], one["mb_memory"])
    figures["fuzz_seconds"] = round(SECONDS * scale * len(lanes))
    return figures


def reached(figures: dict[str, int | float]) -> bool:
    """Nothing was refuted, nothing was raised that should not be, and memory stayed small."""
    tried = figures["cases"] > 0 and figures["inputs"] > 0
    return tried and not figures["refuted"] and not figures["uncaught"] and figures["mb_memory"] < MEMORY


def put_to_the_test(
    check: Callable[..., None],
    strategies: Sequence[st.SearchStrategy[object]],
    folder: Path,
    count: int,
    progress: Progress,
) -> tuple[int, bool]:
    """Lets hypothesis look for a case that refutes the check; how many it tried, and whether none does."""
    tried = 0

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        print_blob=True,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )
    @given(st.tuples(*strategies))
    def holds(arguments: tuple[object, ...]) -> None:
        nonlocal tried
        check(folder, *arguments)
        tried += 1
        progress.step()

    try:
        holds()
    except Exception:
        traceback.print_exc()
        return tried, False
    return tried, True


def fuzz(folder: Path, lane: Sequence[tuple[str, float]], seconds: float) -> list[dict[str, int]]:
    """Fuzzes one target after another, each for its share of the time, in a process of its own.

    The corpus is kept beside the folder of this part, so that the next run begins with what this one found.
    """
    done = []
    for target, share in lane:
        arguments = [target, str(folder.parent / "corpus" / target), str(max(1, round(seconds * share)))]
        ended = subprocess.run(
            [sys.executable, "-m", "tests.stress.fuzzing", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        found = {name: int(number) for name, number in STATISTICS.findall(ended.stderr)}
        if ended.returncode:
            print(f"{target}: {ended.stdout[-2_000:]}{ended.stderr[-2_000:]}", file=sys.stderr, flush=True)
        done.append(
            {
                "inputs": found.get("number_of_executed_units", 0),
                "uncaught": int(ended.returncode != 0),
                "mb_memory": found.get("peak_rss_mb", 0),
            }
        )
    return done
