"""`kill -9` at every named step of what changes a home: nothing dangles, and doing it again works."""

import shutil
from collections import Counter
from pathlib import Path

from tests.stress.kills import migrating, publishing, queueing
from tests.stress.sizes import Progress, sized

TITLE = "`kill -9` at named steps of publish, promote, gc, migrate, claim, finish and checkpoint"
TARGET = "20 points or more x 50 rounds: 0 dangling, 0 gaps, clean after gc, doing it again always succeeds"
MINUTES = 5.0
SMALL = 0.02

ROUNDS = 50
SCENES = (*publishing.SCENES, *queueing.SCENES, *migrating.SCENES)
POINTS = {point for scene in SCENES for point in scene.points}
WRONG = ("unreached", "torn", "failed_again", "wrong", "dangling", "gaps", "problems", "uncollected")


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Plays every scene at every point, each round in a new home; and kills after single statements."""
    rounds = sized(ROUNDS, scale)
    every = max(1, round(0.5 / scale))
    progress = Progress(rounds, "rounds")
    tally: Counter[str] = Counter()
    for _ in range(rounds):
        tally.update(one_round(folder / "round"))
        shutil.rmtree(folder / "round")
        progress.step()
    for statements in (migrating.making, migrating.rebuilding):
        tally.update(statements(folder, every))
    figures: dict[str, int | float] = {"points": len(POINTS), "rounds": rounds}
    return figures | {name: tally[name] for name in ("kills", *WRONG, "collected")}


def reached(figures: dict[str, int | float]) -> bool:
    """Every process died where it should, and none left anything wrong."""
    return figures["points"] >= 20 and figures["kills"] > 0 and not any(figures[name] for name in WRONG)


def one_round(folder: Path) -> Counter[str]:
    """Every scene at every point in one home, which is looked over after each kill and tidied at the end."""
    home = folder / "home"
    publishing.prepare(home)
    tally: Counter[str] = Counter()
    number = 0
    for scene in SCENES:
        for point in scene.points:
            number += 1
            tally.update(scene.play(home, number, point))
            tally.update(publishing.looked_over(home))
    tally.update(publishing.tidied(home))
    tally.update(publishing.looked_over(home))
    return tally
