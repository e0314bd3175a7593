"""What the kills count: the scenes of real work count nothing, so these are of work that is not safe."""

from pathlib import Path

from registry import Registry
from registry.errors import ConflictError
from registry.faults import fault
from tests.registry.samples import add_expert
from tests.stress.kills import killed_and_repeated
from tests.stress.kills.publishing import looked_over


def test_work_that_is_done_whole_counts_as_one_kill_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def work() -> None:
        fault("before")
        path.write_text("whole")

    tally = killed_and_repeated("before", work, left=lambda: not path.exists(), after=path.exists)
    assert +tally == {"kills": 1}


def test_half_done_work_is_torn_and_work_that_cannot_be_repeated_has_failed_again(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def work() -> None:
        if path.exists():
            raise ConflictError("half of it is there already")
        path.write_text("half")
        fault("between")
        path.write_text("whole")

    tally = killed_and_repeated(
        "between", work, left=lambda: not path.exists(), after=lambda: path.read_text() == "whole"
    )
    assert +tally == {"kills": 1, "torn": 1, "failed_again": 1, "wrong": 1}


def test_a_point_that_is_never_reached_is_counted() -> None:
    tally = killed_and_repeated("nowhere", lambda: None, left=lambda: True, after=lambda: True)
    assert +tally == {"unreached": 1}


def test_a_row_without_its_blob_dangles(registry: Registry) -> None:
    expert = add_expert(registry)
    assert +looked_over(registry.home) == {}
    registry.blobs.path(expert.sha256).unlink()
    assert +looked_over(registry.home) == {"dangling": 1, "problems": 1}
