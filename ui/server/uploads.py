"""The folder of files that people upload and download: private, and emptied of what is old."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from registry.disk import private_folder

KEPT = 2 * 3600.0
"""Seconds. Gradio removes what it knows of after an hour, but forgets what broke off half-way."""


def folder(cache: Path) -> Path:
    """Where uploads are, in the cache of a registry."""
    return private_folder(cache / "browser")


def sweep(uploads: Path, kept: float = KEPT) -> int:
    """Removes what is older; returns how many."""
    removed = 0
    for path in uploads.iterdir():
        with suppress(OSError):  # Gradio removes files at the same time.
            if path.stat().st_mtime < time.time() - kept:
                removed += 1
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return removed
