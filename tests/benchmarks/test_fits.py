"""The benchmark of strange inputs, run small on made tasks."""

from pathlib import Path

import pytest
import torch

from benchmarks import fits
from benchmarks.bounds import Seen
from benchmarks.known import Task
from benchmarks.strangeness import RIVALS

LAYERS, HIDDEN, ROWS = 2, 8, {"train": 40, "validation": 60, "test": 20}
SHIFT = 3.0


def made(place: int, offset: float) -> Task:
    """States around a centre of its own, texts of words of its own."""
    generator = torch.Generator().manual_seed(place)
    centre = offset * torch.randn(LAYERS, 2, HIDDEN, generator=generator)
    return Task(
        f"task{place}",
        {
            split: centre + torch.randn(count, LAYERS, 2, HIDDEN, generator=generator)
            for split, count in ROWS.items()
        },
        {split: [f"word{place} number {row}" for row in range(count)] for split, count in ROWS.items()},
    )


def sibling(task: Task) -> Task:
    """The same task with one feature moved, which in no known task is anything but noise."""
    shift = torch.zeros(LAYERS, 2, HIDDEN)
    shift[-1, 0, 0] = SHIFT
    return Task("sibling", {split: rows + shift for split, rows in task.states.items()}, task.texts)


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    known, strange = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([2.0, 5.0])
    # Of eight pairs five are right, and one is equal.
    assert fits.auroc(known, strange) == pytest.approx(5.5 / 8)
    assert fits.auroc(known, known) == 0.5


def test_tasks_far_apart_are_told_by_every_score_and_the_threshold_covers_what_it_should() -> None:
    pool, held = [made(place, 5.0) for place in range(4)], [made(place, 5.0) for place in (7, 8)]
    scores, sent = fits.compare(pool, held, ("closed_form", "lexical", "late_fusion"), RIVALS)
    assert {*RIVALS, *fits.OWN} <= {*scores}
    assert {*sent} == {"task7", "task8"}
    for name in ("states: as frozen", "Mahalanobis", "relative Mahalanobis", "fifth nearest neighbour"):
        for one in fits.judged(scores[name], ["task7", "task8"], 0.9):
            assert one["auroc"] > 0.9, name
            assert one["covered"] == pytest.approx(0.9, abs=0.1), name


def test_who_has_seen_rows_tells_a_task_from_its_sibling_that_no_score_tells() -> None:
    pool = [made(place, 5.0) for place in range(4)]
    task = sibling(pool[2])
    scores, _ = fits.compare(pool, [task], ("closed_form",), {})
    (blind,) = fits.judged(scores["states: as frozen"], [task.name], 0.9)
    seen = Seen(pool)
    (told,) = fits.judged(seen.scores(task, 40), [task.name], 0.9)
    assert blind["auroc"] < 0.7
    assert told["auroc"] > 0.95
    apart = seen.apart(task)
    assert apart["sibling"] == pool[2].name
    # Of unit covariance in tasks: the noise is one already, apart from what 40 rows leave uncertain.
    assert apart["apart"] == pytest.approx(SHIFT**2, rel=0.5)


def test_without_a_home_of_real_rows_the_way_to_one_is_told(tmp_path: Path) -> None:
    options = fits.arguments(["--work", str(tmp_path)])
    with pytest.raises(SystemExit, match="give --data to add some"):
        fits.read(options)
