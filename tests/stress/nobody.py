"""What somebody without permission is told: `python -m tests.stress.nobody` prints it as JSON.

Root may do everything, so when root runs this, a process that has given up root does.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from registry import Registry, migration
from registry.canonical import sha256_of
from registry.database import FILE
from registry.errors import RegistryError
from tests.registry.samples import add_expert
from tests.stress.forks import start

NOBODY = 65_534


def told(work: Callable[[], object]) -> str:
    """What `work` gives, or the error that it raises."""
    try:
        return repr(work())
    except RegistryError as error:
        return f"{type(error).__name__}: {error}"


def ask(folder: Path) -> dict[str, str]:
    """Uses a home that can only be read, one that cannot be entered, and a place where none can be made."""
    readable, closed, nowhere = folder / "readable", folder / "closed", folder / "nowhere"
    registry = Registry(readable)
    return {
        "read": told(lambda: [expert.name for expert in registry.experts()]),
        "tensors": told(lambda: sorted(registry.tensors("sst2")[0])),
        "verify": told(registry.verify),
        "damaged cache": told(lambda: registry.features("damaged")),
        "add": told(lambda: add_expert(registry, number=1)),
        "promote": told(lambda: registry.promote("sst2", alias="stable")),
        "migrate": told(lambda: migration.upgrade(readable / FILE)),
        "enter": told(lambda: Registry(closed)),
        "make": told(lambda: Registry(nowhere / "home")),
    }


def measure(folder: Path) -> dict[str, str]:
    """Fills the homes, closes them, and asks."""
    answers = folder / "answers"
    with Registry(folder / "readable") as registry:
        add_expert(registry)
        registry.add_features("damaged", b"some features", {})
        damaged = registry.blobs.path(sha256_of(b"some features"))
        damaged.chmod(0o644)
        damaged.write_bytes(b"other bytes")
    Registry(folder / "closed").close()
    (folder / "nowhere").mkdir()
    answers.mkdir()
    answers.chmod(0o777)
    for path in sorted((folder / "readable").rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path, mode in (("readable", 0o555), ("closed", 0o000), ("nowhere", 0o555), ("", 0o755)):
        (folder / path).chmod(mode)

    def as_nobody() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        (answers / "answers.json").write_text(json.dumps(ask(folder)))

    os.waitpid(start(as_nobody), 0)
    for path in ("readable", "closed", "nowhere", *(folder / "readable").rglob("*")):
        if (folder / path).is_dir():
            (folder / path).chmod(0o700)
    found: dict[str, str] = json.loads((answers / "answers.json").read_text())
    return {question: answer.replace(str(folder), "") for question, answer in found.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure(Path(name))))
