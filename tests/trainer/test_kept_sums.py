"""Totals on disk: what comes and goes since the last one is all that is summed; damage never goes unseen."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from registry.errors import DamagedError
from tests.trainer.test_ridge import scores, tasks
from trainer.kept_sums import READINGS, SumsFile
from trainer.pipeline.summing import Summing
from trainer.sums import STRIP, RidgeSums

EACH = {str(place): one for place, one in enumerate(tasks(5))}


class Pool:
    """A file of totals, what was read to bring it up, and what was said."""

    def __init__(self, folder: Path, features: Callable[[str], Tensor | None] = EACH.__getitem__) -> None:
        self.file = SumsFile(folder, "key")
        self.features = features
        self.read: list[str] = []
        self.said: list[str] = []

    def total(self, wanted: str) -> RidgeSums:
        self.read, self.said = [], []
        return Summing(self.file, self._features, self._note).total(list(wanted))

    def _features(self, digest: str) -> Tensor | None:
        self.read.append(digest)
        return self.features(digest)

    def _note(self, stage: str, done: int, total: int, note: str) -> None:
        self.said += [note] if note else []


def same_bits(one: RidgeSums, other: RidgeSums) -> bool:
    pairs = zip((*one.system().solve(0.01),), (*other.system().solve(0.01),), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def joint(wanted: str) -> RidgeSums:
    return RidgeSums.of(EACH[digest] for digest in wanted)


@given(st.lists(st.text("01234", min_size=1, max_size=5).map(lambda text: "".join(dict.fromkeys(text)))))
@settings(max_examples=30, deadline=None)
def test_any_chain_of_pools_is_to_the_bit_the_joint_fit_of_the_last(chain: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(Path(folder))
        for wanted in chain:
            assert same_bits(pool.total(wanted), joint(wanted))


def test_a_chain_through_a_task_of_enormous_numbers_loses_nothing(tmp_path: Path) -> None:
    """In plain float64 its squares would leave of the others' nothing that can be trusted."""
    each = {**EACH, "9": EACH["0"] * 1e6}
    pool = Pool(tmp_path, each.__getitem__)
    pool.total("0123")
    pool.total("01239")
    left = pool.total("0123").system().solve(0.001)
    wanted = joint("0123").system().solve(0.001)
    rows = [EACH[digest] for digest in "0123"]
    assert abs(scores(left, rows) - scores(wanted, rows)).max() <= 1e-8


def test_only_what_came_or_went_is_read(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    reads = []
    for wanted in ("0123", "01234", "1234", "1234", "4321", "10"):
        assert same_bits(pool.total(wanted), joint(wanted))
        reads.append("".join(pool.read))
    assert reads == ["0123", "4", "0", "", "", "10"]
    assert pool.said == []


def test_two_tasks_of_the_same_rows_are_summed_twice(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    pool.total("011")
    assert same_bits(pool.total("11"), joint("11")) and pool.read == ["0"]


def test_what_cannot_be_taken_out_any_more_is_summed_anew(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    pool.total("012")
    pool.features = {digest: EACH[digest] for digest in "12"}.get
    assert same_bits(pool.total("12"), joint("12"))


def damages() -> dict[str, Callable[[bytes], bytes]]:
    return {
        "a flipped bit in a number": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        "another member": lambda content: content.replace(b'"members":["0"', b'"members":["3"'),
        "the end cut off": lambda content: content[:-8],
        "something behind the end": lambda content: content + b"x",
        "another version": lambda content: content.replace(b'"format":2', b'"format":1'),
        "no header": lambda content: content[1:],
        "nothing": lambda content: b"",
    }


@pytest.mark.parametrize("damage", damages())
def test_a_damaged_file_is_said_and_made_anew(tmp_path: Path, damage: str) -> None:
    pool = Pool(tmp_path)
    pool.total("012")
    content = pool.file.path.read_bytes()
    spoilt = damages()[damage](content)
    assert spoilt != content
    pool.file.path.write_bytes(spoilt)
    with pytest.raises(DamagedError):
        pool.file.load()
    assert same_bits(pool.total("012"), joint("012"))
    assert pool.read == ["0", "1", "2"]
    assert [note for note in pool.said if note.endswith("; they are summed anew")] == pool.said != []
    assert pool.file.path.read_bytes() == content


def test_a_folder_that_is_a_file_is_said_and_the_sums_are_right(tmp_path: Path) -> None:
    (tmp_path / "sums").write_text("in the way")
    pool = Pool(tmp_path / "sums")
    assert same_bits(pool.total("01"), joint("01"))
    assert pool.said[-1].endswith("; the next refit sums anew")


def test_only_the_newest_readings_are_kept(tmp_path: Path) -> None:
    for place in range(READINGS + 2):
        file = SumsFile(tmp_path, f"key{place}")
        file.save(["0"], joint("0"))
        os.utime(file.path, (place, place))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"key{place}.sums" for place in range(2, READINGS + 2)]


def test_strips_hold_the_whole_matrix_at_any_width() -> None:
    """Widths below, at and above a strip's height solve as an ordinary matrix does."""
    generator = torch.Generator().manual_seed(0)
    for width in (1, STRIP - 1, STRIP, STRIP + 1, 2 * STRIP + 3):
        rows = [torch.randn(40, width, generator=generator) + place for place in range(3)]
        weight, bias = RidgeSums.of(rows).system().solve(0.1)
        x, means = [one.double() for one in rows], torch.stack([one.double().mean(0) for one in rows])
        centre = means.mean(0)
        covariance = sum(one.T @ one / len(one) for one in x) / 3 - torch.outer(centre, centre)
        damped = covariance + 0.1 * torch.diag(covariance.diagonal())
        wanted = torch.linalg.solve(damped, (means - centre).T / 3).T
        assert (weight - wanted).abs().max() <= 1e-9 * wanted.abs().max()
        assert torch.allclose(bias, 1 / 3 - wanted @ centre, rtol=0, atol=1e-9)
