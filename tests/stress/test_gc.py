"""The race against the collector finds publishers who do not look whether their blob is still there."""

from pathlib import Path

from tests.stress.parts.gc import Counting, race


class Careless(Counting):
    """Blobs as they are, but a row refers to one without looking."""

    def ensure(self, sha256: str, content: bytes) -> None:
        self.stored_again += not self.has(sha256)


def test_publishers_who_do_not_look_leave_rows_without_their_blob(tmp_path: Path) -> None:
    assert any(race(tmp_path / str(number), Careless)["dangling"] for number in range(8))
