"""What every test may use: tiny base models, a new home, a file writer; and no way out of this machine."""

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from registry import Registry

LOOPBACK = ("127.", "::1", "localhost")


class Guard:
    """Stops connections to other machines, except for tests marked `network`."""

    allowed = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.allowed or event not in {"socket.connect", "socket.getaddrinfo"}:
            return
        address = arguments[1] if event == "socket.connect" else arguments[:1]
        if isinstance(address, tuple) and not str(address[0] or "localhost").startswith(LOOPBACK):
            pytest.fail(f"a test tried to reach {address[0]}")


GUARD = Guard()
sys.addaudithook(GUARD)


@pytest.fixture(autouse=True)
def stays_on_this_machine(request: pytest.FixtureRequest) -> Iterator[None]:
    GUARD.allowed = request.node.get_closest_marker("network") is not None
    yield
    GUARD.allowed = False


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def leaves_the_users_folders_alone(
    session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_CACHE", str(session_cache))
    monkeypatch.setenv("REGISTRY_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def tiny_llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import tiny_llama

    return tiny_llama(tmp_path_factory.mktemp("tiny-llama"))


@pytest.fixture(scope="session")
def tiny_bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import tiny_bert

    return tiny_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def registry(home: Path) -> Iterator[Registry]:
    with Registry(home) as opened:
        yield opened


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Path]:
    """`csv_file(rows, columns=("text", "label"), name="task.csv")` writes rows and returns the path."""

    def write(
        rows: Sequence[Sequence[str]], columns: Sequence[str] = ("text", "label"), name: str = "task.csv"
    ) -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
        return path

    return write
