"""A home that cannot be written, or not even entered: reading goes on, the rest is one clear line."""

from collections.abc import Callable
from typing import Any

import pytest

from registry import sqlite

ADVICE = "Check free space, permissions and REGISTRY_HOME."


@pytest.mark.skipif(
    sqlite.journal_mode() == "WAL",
    reason="SQLite reads no database with a write-ahead log in a folder that it cannot write",
)
def test_without_permission_reading_goes_on_and_the_rest_is_one_line(
    measured: Callable[..., dict[str, Any]],
) -> None:
    answers = measured("tests.stress.nobody")
    assert answers.pop("add").endswith(f": Permission denied. {ADVICE}")
    assert answers == {
        "read": "['sst2@1']",
        "tensors": "['cores', 'head']",
        "verify": "[]",
        "damaged cache": "None",
        "promote": "StorageError: Cannot use /readable/registry.db: it is read-only "
        f"(attempt to write a readonly database). {ADVICE}",
        "migrate": "None",
        "enter": f"StorageError: Cannot open /closed/registry.db: Permission denied. {ADVICE}",
        "make": f"StorageError: Cannot make the folder /nowhere/home: Permission denied. {ADVICE}",
    }
