"""Where a figure was measured: the commit, the versions, the machine."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from registry.sqlite import driver, journal_mode

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("sqlalchemy", "alembic", "numpy", "safetensors", "torch", "hypothesis")


def surroundings() -> dict[str, object]:
    """The commit, the versions and the machine that a result was reached with."""
    return {
        "commit": commit(),
        "versions": {
            "Python": platform.python_version(),
            "SQLite": f"{driver.sqlite_version} ({journal_mode()})",
            **{name: metadata.version(name) for name in PACKAGES},
        },
        "machine": f"{os.cpu_count()} cores, {_processor()}, {_memory()}, Linux {platform.release()}",
    }


def commit() -> str:
    """The commit of the working tree, with a `+` when it was changed since."""
    try:
        head = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GiB"
