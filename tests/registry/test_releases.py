"""The homes of earlier releases, as those releases wrote them, brought up to date."""

import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from registry import Registry, back_up, collect, examine, restore, revisions
from registry.database import FILE, migrate
from registry.errors import SchemaError
from registry.fsck import Report
from registry.garbage import Collected
from tests.registry.samples import add_dataset
from tests.stress.kills.migrating import rows

RELEASES = sorted(path for path in (Path(__file__).parent / "releases").iterdir())
NEW = ("combinations", "jobs", "retirements", "users", "sessions", "tokens")
"""Tables that the first release did not have."""


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / "old"))


def test_an_old_home_is_refused_with_the_command_that_helps(old: Path) -> None:
    before = (old / FILE).read_bytes()
    with pytest.raises(SchemaError, match="Run `registry migrate`, which makes a backup first"):
        Registry(old)
    assert (old / FILE).read_bytes() == before


def test_migrating_keeps_every_row_and_a_backup(old: Path) -> None:
    before = rows(old)
    backup = migrate(old)
    assert backup == old / f"{FILE}.pre-{revisions.HEAD}"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    after = rows(old)
    assert set(before) - {"triggers"} == {
        *("alias_events", "aliases", "base_models", "datasets", "evaluations", "experts", "features"),
        *("generations", "runs", "slots", "tasks"),
    }
    assert [table for table, found in before.items() if not found] == ["evaluations"]
    # The one table that got a column: the verdict of the gate, which nobody asked then.
    assert after.pop("alias_events") == [(*row, None) for row in before.pop("alias_events")]
    assert [after.pop(table) for table in NEW] == [[]] * 6
    had, has = dict(before.pop("triggers")), dict(after.pop("triggers"))
    assert has.keys() - had.keys() == {
        f"{table}_frozen_{verb}"
        for table in ("retirements", "combinations")
        for verb in ("delete", "replace", "update")
    }
    assert had.items() <= has.items()
    assert after == before
    assert migrate(old) is None


def test_a_migrated_home_is_whole_and_answers_as_before(old: Path) -> None:
    migrate(old)
    with Registry(old) as registry:
        assert registry.verify() == []
        assert examine(registry, deep=True) == Report()
        assert [expert.name for expert in registry.experts(all_versions=True)] == [
            "sst2@1",
            "sst2@2",
            "trec@1",
        ]
        assert [generation.experts for generation in registry.generations()] == [
            ("sst2@2",),
            ("sst2@1",),
        ]
        assert registry.generation().name == "router@1"
        assert registry.expert("sst2@stable").name == "sst2@1"
        assert [(event.action, event.reason, event.gate) for event in registry.history()] == [
            ("rollback", "worse", None),
            ("promote", "second", None),
            ("promote", "first", None),
        ]
        assert registry.features("k") == b"abc"
        assert sorted(registry.tensors("trec@1")[0]) == ["cores", "head"]


def test_everything_new_works_in_a_migrated_home(old: Path, tmp_path: Path) -> None:
    migrate(old)
    with Registry(old) as registry:
        job = registry.jobs.enqueue("add_task", {"name": "new"}, inputs=[b"rows of a job"])
        registry.promote("router@2", gate={"passed": True})
        assert registry.history()[0].gate == {"passed": True}
        registry.rollback()
        assert registry.generation().name == "router@1"
        add_dataset(registry, "new")
        assert collect(registry, grace=timedelta(0)) == Collected()
        assert examine(registry, deep=True) == Report()
        made = back_up(registry, tmp_path / "backup.tar")
    with Registry(restore(made.file, tmp_path / "restored").home) as restored:
        assert restored.jobs.get(job.id).state == "queued"
        assert restored.jobs.input(job) == b"rows of a job"
        assert examine(restored, deep=True) == Report()


def test_the_backup_of_a_migration_is_the_home_as_it_was(old: Path, tmp_path: Path) -> None:
    before = rows(old)
    backup = migrate(old)
    assert backup is not None
    shutil.copytree(old / "blobs", tmp_path / "back" / "blobs")
    shutil.copy(backup, tmp_path / "back" / FILE)
    assert rows(tmp_path / "back") == before
    migrate(tmp_path / "back")
    with Registry(tmp_path / "back") as registry:
        assert registry.verify() == []
