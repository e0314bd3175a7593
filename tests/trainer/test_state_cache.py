"""States on disk: the same to the bit as computed now, bounded, checked, and gone without harm."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from registry import Registry
from registry.errors import InvalidSettingError
from trainer import state_cache
from trainer.base_model import BaseModel
from trainer.encoding import Encoding, agrees, encode
from trainer.state_cache import StateCache, StateFile, StateKey

TEXTS = [f"The {thing} number {number} was {word}." for thing in ("film", "soup", "old red train")
         for number in range(7) for word in ("good", "very bad")]  # fmt: skip
MIB = 1 << 20

Encode = Callable[..., Encoding]


@pytest.fixture
def cache(tmp_path: Path) -> StateCache:
    return StateCache(tmp_path / "states", 64 * MIB)


@pytest.fixture
def encoded(base: BaseModel) -> Encode:
    def run(cache: StateCache | None = None, **options: object) -> Encoding:
        settings = {"layers": (1, 2), "max_length": 32, "resume_at": 2, "dataset_sha256": "rows", **options}
        return encode(base, TEXTS, cache=cache, **settings)

    return run


def files(cache: StateCache) -> list[str]:
    return sorted(path.name for path in cache.folder.glob("*"))


def test_states_from_disk_are_those_from_memory_to_the_bit(encoded: Encode, cache: StateCache) -> None:
    memory, written, read = encoded(), encoded(cache), encoded(cache)
    assert [one.resume_at for one in (memory, written, read)] == [2, 2, 2]
    for found in (written, read):
        assert torch.equal(found.states, memory.states)
        assert torch.equal(found.features, memory.features)
        assert torch.equal(found.final([3, 0])[0], memory.final([3, 0])[0])
        assert found.remarks == ()
    [name] = files(cache)
    assert name.endswith(".states")


def test_when_features_are_known_too_the_base_model_does_not_run(encoded: Encode, cache: StateCache) -> None:
    stages: list[str] = []
    first = encoded(cache)
    second = encoded(cache, features=first.features, on_progress=lambda stage, *_: stages.append(stage))
    assert stages == []
    assert second.features is first.features
    assert torch.equal(second.states, first.states)


@pytest.mark.parametrize("other", [{"dataset_sha256": "others"}, {"resume_at": 1}, {"max_length": 16},
                                   {}])  # fmt: skip
def test_each_thing_that_states_depend_on_has_a_file_of_its_own(
    encoded: Encode,
    base: BaseModel,
    cache: StateCache,
    other: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded(cache)
    stages: list[str] = []
    if not other:
        monkeypatch.setattr(base, "dtype", torch.bfloat16)
    found = encoded(cache, on_progress=lambda stage, *_: stages.append(stage), **other)
    assert "reading texts" in stages
    assert len(files(cache)) == 2
    assert torch.equal(encoded(cache, **other).states, found.states)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def grown(path: Path) -> None:
    os.truncate(path, path.stat().st_size + 1)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def wrong_lengths(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096] += 1
    path.write_bytes(content)


def other_version(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 2'))


@pytest.mark.parametrize("harm", [cut, grown, flipped, wrong_lengths, other_version])
def test_a_damaged_file_is_computed_again_and_that_is_said(
    encoded: Encode, cache: StateCache, harm: Callable[[Path], None]
) -> None:
    whole = encoded(cache)
    states = whole.states.clone()
    [path] = cache.folder.glob("*")
    harm(path)
    again = encoded(cache)
    assert again.remarks == (
        "The cached states of these rows were damaged or of another version. They are computed again.",
    )
    assert torch.equal(again.states, states)
    assert encoded(cache).remarks == ()


def test_what_was_not_used_for_longest_goes_first(encoded: Encode, cache: StateCache) -> None:
    encoded(cache, dataset_sha256="first")
    [size] = [path.stat().st_size for path in cache.folder.glob("*")]
    cache.limit = 2 * size
    encoded(cache, dataset_sha256="second")
    for age, path in enumerate(sorted(cache.folder.glob("*"), key=lambda path: path.stat().st_mtime)):
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    encoded(cache, dataset_sha256="first")
    third = encoded(cache, dataset_sha256="third")
    stages: list[str] = []

    def known(dataset: str) -> bool:
        stages.clear()
        encoded(cache, dataset_sha256=dataset, features=third.features,
                on_progress=lambda stage, *_: stages.append(stage))  # fmt: skip
        return not stages

    assert [known("first"), known("third"), known("second")] == [True, True, False]
    assert len(files(cache)) == 2


def test_without_room_states_stay_in_memory_and_without_memory_they_are_computed_again(
    encoded: Encode, tmp_path: Path
) -> None:
    small = StateCache(tmp_path / "states", 1000)
    memory, nothing = encoded(small), encoded(small, state_budget=0)
    assert (memory.resume_at, memory.remarks, files(small)) == (2, (), [])
    assert nothing.resume_at is None
    assert nothing.remarks == (
        "The hidden states of these rows take 0.0 GiB, and there is no room for them: each epoch runs all "
        "layers. REGISTRY_STATES_GIB sets the room",
    )
    (left, batch), (right, _) = nothing.final([0, 1]), memory.final([0, 1])
    assert torch.allclose(left[batch.mask.bool()], right[batch.mask.bool()], atol=1e-5)


def test_it_takes_no_more_than_a_share_of_the_free_disk(
    cache: StateCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache.room() == 64 * MIB
    monkeypatch.setattr(state_cache, "SHARE", 0.0)
    assert cache.room() == 0
    assert not cache.make_room(1)


def test_a_pass_that_is_cut_leaves_no_file(encoded: Encode, cache: StateCache) -> None:
    class Killed(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        encoded(cache, on_progress=stop)
    assert files(cache) == []


def test_states_that_do_not_lead_to_those_of_the_whole_model_are_not_used(
    encoded: Encode, cache: StateCache, base: BaseModel
) -> None:
    found = encoded(cache)
    assert agrees(found)
    lengths = [len(one.ids) for one in found.tokens]
    file = StateFile(cache, StateKey("model", "rows", 2, 32), lengths, base.hidden, torch.float32)
    assert file.begin()
    for row, size in enumerate(lengths):
        file.put(row, torch.zeros(size, base.hidden))
    wrong = file.end()
    file.discard()
    assert not agrees(replace(found, states=wrong))


def test_states_in_half_precision_agree_within_their_tolerance(
    encoded: Encode, base: BaseModel, cache: StateCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoded(cache).final([0, 5])[0]
    monkeypatch.setattr(base, "dtype", torch.bfloat16)
    half = encoded(cache)
    assert (half.states.dtype, half.resume_at) == (torch.bfloat16, 2)
    final, batch = half.final([0, 5])
    kept = batch.mask.bool()
    assert final.dtype == torch.float32
    assert 1e-6 < ((final[kept] - whole[kept]).norm() / whole[kept].norm()).item() < 5e-2


@pytest.mark.parametrize(("given", "limit"), [(None, 4 << 30), ("0", 0), ("0.5", 1 << 29)])
def test_its_room_is_set_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, limit: int
) -> None:
    monkeypatch.delenv("REGISTRY_STATES_GIB", raising=False)
    if given is not None:
        monkeypatch.setenv("REGISTRY_STATES_GIB", given)
    with Registry(tmp_path) as registry:
        assert StateCache.of(registry).limit == limit


@pytest.mark.parametrize("given", ["much", "-1", "nan", "inf", ""])
def test_a_room_that_is_no_number_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("REGISTRY_STATES_GIB", given)
    with Registry(tmp_path) as registry, pytest.raises(InvalidSettingError) as refusal:
        StateCache.of(registry)
    assert str(refusal.value) == f"REGISTRY_STATES_GIB={given} must be a number of GiB, 0 or more"
