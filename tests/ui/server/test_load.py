"""A few people at work on one server at the same time: nothing goes wrong, nothing is left open."""

import asyncio
import shutil
from pathlib import Path

import pytest

from benchmarks.team import READS, Team
from tests.ui.commands import Trained
from tests.ui.server.serving import serving


@pytest.mark.long
@pytest.mark.timeout(600)  # It waits on a machine that others use too; nothing is asserted of its speed.
def test_people_and_shells_work_side_by_side_without_an_error(trained: Trained, tmp_path: Path) -> None:
    home = Path(shutil.copytree(trained.home, tmp_path / "home"))
    with serving(home) as server:
        team = Team(server, 20, tmp_path)
        assert set(asyncio.run(team.warm_up())) == {name for name, _ in READS}
        outcome = asyncio.run(team.work(clients=6, uploaders=1, shells=1))
    assert outcome.errors == []
    assert outcome.reads
    assert {"upload and preview", "registry alias"} <= set(outcome.writes)
    # Each of the eight holds a few connections; what is left open by every look would be far more.
    assert outcome.samples[-1][2] - outcome.samples[0][2] < 60
