"""What the tests of the registry share: a filled home, and how to run a module of theirs as a program."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from registry import Registry, back_up
from registry.owners import Owner
from tests.registry.samples import ACCURACY, add_expert, add_generation

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """sst2@1, sst2@2 and trec@1; router@1 of sst2@1 and router@2 of sst2@2 and trec@1; two aliases."""
    add_expert(registry, "sst2", rows=1, number=1, evaluations=(ACCURACY,))
    add_generation(registry, "sst2@1", number=1)
    add_expert(registry, "sst2", rows=2, number=2, evaluations=(ACCURACY,))
    add_expert(registry, "trec", rows=1, number=3, evaluations=(ACCURACY,))
    add_generation(registry, "sst2@2", "trec@1", number=2)
    registry.promote("router@2")
    registry.promote("sst2@1", alias="stable")
    return registry


@pytest.fixture
def backup(filled: Registry, tmp_path: Path) -> Path:
    """One of it, with something cached."""
    filled.add_features("key", b"hidden states", {})
    return back_up(filled, tmp_path / "backup.tar").file


@pytest.fixture
def measured() -> Callable[..., dict[str, Any]]:
    """`measured("tests.stress.nobody")` runs the module and returns the JSON it prints."""

    def run(module: str, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            # One thread: the processes fork.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        figures: dict[str, Any] = json.loads(done.stdout)
        return figures

    return run


@pytest.fixture
def disk_full_after() -> Callable[[int], AbstractContextManager[None]]:
    """`with disk_full_after(4096):` no file can grow past that many bytes, as if the disk were full."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture
def owner(registry: Registry) -> Iterator[Owner]:
    """A worker that lives."""
    made = registry.jobs.owner()
    yield made
    made.close()


@pytest.fixture
def other(registry: Registry) -> Iterator[Owner]:
    """Another one."""
    made = registry.jobs.owner()
    yield made
    made.close()
