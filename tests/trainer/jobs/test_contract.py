"""What every job kind keeps, whichever file it comes from."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from registry import Job, Registry
from registry.canonical import canonical_json
from registry.errors import FencedError, InvalidSettingError
from tests.trainer.jobs.asked import ASKED
from tests.trainer.samples import QUICK, write
from trainer import add_task, kinds
from trainer.base_model import BaseModel
from trainer.jobs import clone
from trainer.progress import Stopped, silent
from trainer.worker import Worker

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def two_experts(tmp_path_factory: pytest.TempPathFactory, llama: BaseModel) -> Path:
    """A folder with a home and the rows of one more task."""
    folder = tmp_path_factory.mktemp("jobs")
    with Registry(folder / "home") as registry:
        for task in ("mood", "question"):
            add_task(registry, write(folder, task), base_model=llama, settings=QUICK)
    write(folder, "pairs")
    return folder


@pytest.fixture
def registry(two_experts: Path, tmp_path: Path) -> Registry:
    """A copy of that home."""
    return Registry(shutil.copytree(two_experts / "home", tmp_path / "home"))


@pytest.fixture(params=kinds.names("jobs"))
def kind(request: pytest.FixtureRequest) -> ModuleType:
    return kinds.load("jobs", request.param)


@pytest.fixture
def ask(
    kind: ModuleType, registry: Registry, two_experts: Path, tiny_llama_folder: Path
) -> Callable[[], Job]:
    """Asks for a job of that kind."""
    name = kind.__name__.rpartition(".")[2]
    return lambda: ASKED[name](registry, two_experts / "pairs.csv", str(tiny_llama_folder))


def published(registry: Registry) -> dict[str, object]:
    """All that others could take for a result."""
    names = [one.name for one in (*registry.experts(all_versions=True), *registry.generations())]
    return {
        "tasks": registry.tasks(),
        "datasets": [registry.datasets(task.name) for task in registry.tasks()],
        "experts": registry.experts(all_versions=True),
        "generations": registry.generations(),
        "evaluations": registry.evaluations_of(names),
        "aliases": registry.aliases(),
    }


def test_asking_puts_a_job_of_its_kind_on_record_and_nothing_else(
    kind: ModuleType, registry: Registry, ask: Callable[[], Job]
) -> None:
    before = published(registry)
    job = ask()
    assert (f"trainer.jobs.{job.kind}", job.state, job.attempt) == (kind.__name__, "queued", 0)
    assert registry.jobs.list() == [job]
    assert all(registry.blobs.get(digest) for digest in job.inputs)
    assert published(registry) == before
    assert ask() == job, "equal parameters are the same job"


def test_it_publishes_its_result_and_its_end_in_one_transaction(
    kind: ModuleType, registry: Registry, ask: Callable[[], Job]
) -> None:
    job, before = ask(), published(registry)
    seen: list[dict[str, object]] = []
    results: list[dict[str, Any]] = []

    def finish(result: dict[str, Any]) -> None:
        results.append(result)
        with Registry(registry.home) as other:
            seen.append(published(other))
        seen.append(published(registry))

    kind.run(registry, job, on_progress=silent, finish=finish, guard=lambda: None)
    [result] = results
    assert canonical_json(result)
    assert seen == [before, published(registry)]
    assert before != published(registry)


def test_it_publishes_nothing_when_the_job_is_somebody_elses_by_now(
    kind: ModuleType, registry: Registry, ask: Callable[[], Job]
) -> None:
    job, before = ask(), published(registry)

    def refuse(_: object = None) -> None:
        raise FencedError("another has taken it over")

    with pytest.raises(FencedError, match="another has taken it over"):
        kind.run(registry, job, on_progress=silent, finish=refuse, guard=lambda: None)
    assert published(registry) == before
    assert registry.verify() == []


def test_it_ends_at_a_step_when_its_reporter_says_so(
    kind: ModuleType, registry: Registry, ask: Callable[[], Job]
) -> None:
    job, before = ask(), published(registry)
    steps: list[tuple[str, int, int, str]] = []

    def stop(stage: str, done: int, total: int, note: str) -> None:
        steps.append((stage, done, total, note))
        raise Stopped

    with pytest.raises(Stopped):
        kind.run(registry, job, on_progress=stop, finish=dict, guard=lambda: None)
    [(stage, done, total, _)] = steps
    assert stage
    assert 0 <= done <= (total or done)
    assert published(registry) == before


def test_a_worker_does_it_and_done_again_it_makes_nothing_new(
    registry: Registry, ask: Callable[[], Job]
) -> None:
    made: list[object] = []
    with Worker(registry, executor="thread") as worker:
        for _ in range(2):
            job = worker.run_one(ask().id)
            assert job is not None
            assert (job.state, job.error, job.attempt) == ("done", None, 1)
            assert job.result
            facts = published(registry)
            made.append((job.kind, facts["experts"], facts["generations"], facts["datasets"]))
    assert made[0] == made[1]
    assert registry.verify() == []


def test_a_kind_that_has_settings_reads_them_and_refuses_wrong_ones(
    kind: ModuleType, registry: Registry, ask: Callable[[], Job]
) -> None:
    job = ask()
    assert hasattr(kind, "settings_of") == ("settings" in job.params)
    if "settings" not in job.params:
        with pytest.raises(InvalidSettingError, match="has no settings that could be changed"):
            clone(registry, job.id, {"epochs": 2})
        return
    assert clone(registry, job.id, job.params["settings"]) == job
    assert clone(registry, job.id, {"epochs": 2}).params == {**job.params, "settings": {"epochs": 2}}
    for wrong in ({"epoch": 2}, {"epochs": "two"}, {"epochs": 0}):
        with pytest.raises(InvalidSettingError, match="epoch"):
            clone(registry, job.id, wrong)


def test_asking_loads_no_torch(two_experts: Path, registry: Registry, tiny_llama_folder: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from registry import Registry\n"
        "from tests.trainer.jobs.asked import ASKED\n"
        "with Registry(sys.argv[1]) as registry:\n"
        "    jobs = [ask(registry, Path(sys.argv[2]), sys.argv[3]) for ask in ASKED.values()]\n"
        "print(len(jobs), {'torch', 'transformers', 'datasets'} & set(sys.modules))\n"
    )
    rows = two_experts / "pairs.csv"
    done = subprocess.run(
        [sys.executable, "-c", script, registry.home, rows, tiny_llama_folder],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.stdout, done.stderr) == (f"{len(ASKED)} set()\n", "")


def test_every_kind_of_this_project_is_asked_for_here() -> None:
    own = {path.stem for path in (ROOT / "trainer" / "jobs").glob("*.py")} - {"__init__"}
    assert set(ASKED) == own
