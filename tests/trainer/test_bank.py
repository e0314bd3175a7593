"""Experts come and go, and nobody's answer changes by it."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from registry import Expert, Registry
from registry import tensors as tensor_files
from registry.errors import InvalidSettingError
from tests.tiny_models import SENTENCES
from tests.trainer.pools import DESIGN, publish, route
from trainer.base_model import BaseModel
from trainer.experts import ExpertModule, design, read
from trainer.inputs import Text
from trainer.layouts import form_parts
from trainer.loans import Loan
from trainer.moe import MoE
from trainer.pool import Chosen
from trainer.predictions import Prediction, largest
from trainer.thawing import fetched, thawed

# No two alike, and of two adapter kinds.
DESIGNS: list[dict[str, Any]] = [
    {},
    {"rank": 2, "labels": 5},
    {"adapter": "lora", "rank": 7, "first_layer": 3},
    {"rank": 3, "first_layer": 2, "max_length": 8},
    {"adapter": "lora", "rank": 1, "targets": ("v_proj", "value")},
    {"rank": 9, "targets": ("down_proj", "output.dense"), "labels": 3},
]
TEXTS: list[Text] = [
    *SENTENCES,
    *(sentence[: 3 + 5 * place] for place, sentence in enumerate(SENTENCES)),
    ("The moon", "is not a film"),
    "",
]


@dataclass(frozen=True)
class Made:
    registry: Registry
    base: BaseModel
    experts: list[Expert]


@pytest.fixture(scope="module", params=["llama", "bert"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    base: BaseModel = request.getfixturevalue(request.param)
    with Registry(tmp_path_factory.mktemp("bank") / "home") as registry:
        experts = [
            publish(registry, base, f"task{seed}", seed, **changed) for seed, changed in enumerate(DESIGNS)
        ]
        route(registry, base, experts, TEXTS)
        route(registry, base, experts[::-1], TEXTS, seed=1)
        yield Made(registry, base, experts)


def loaded(made: Made, places: int | None = None, generation: int = 1) -> MoE:
    """With room for so many experts; for all of them by default."""
    moe = MoE.load(made.registry, generation, base=made.base)
    if places is None:
        return moe
    size = moe.bank.shelf("low_rank").size
    return MoE.load(made.registry, generation, base=made.base, budget=places * size)


def numbers(one: Prediction) -> list[float]:
    return [one.probability, one.margin, *one.probabilities.values(), *one.weights.values()]


def same(found: list[Prediction], wanted: list[Prediction], tolerance: float = 1e-5) -> bool:
    said = [(one.text, one.expert, one.label, one.generation, one.cut) for one in found]
    told = [(one.text, one.expert, one.label, one.generation, one.cut) for one in wanted]
    near = all(np.allclose(numbers(a), numbers(b), rtol=0, atol=tolerance)
               for a, b in zip(found, wanted, strict=True))  # fmt: skip
    return said == told and near


def test_texts_go_to_all_experts(made: Made) -> None:
    assert len({one.expert for one in loaded(made).predict(TEXTS)}) >= 4


@torch.no_grad()
def test_every_row_of_a_mixed_batch_has_the_states_of_its_expert_alone(made: Made) -> None:
    base = made.base
    batch = base.batch(base.tokenize(TEXTS[: len(DESIGNS)], 32))
    moe = loaded(made)
    with Loan(moe.bank) as loan:
        loan.take(range(len(DESIGNS)))
        mixed = base.forward(batch, Chosen(loan))
    for row, expert in enumerate(made.experts):
        module = thawed(made.registry, base, expert)
        own = base.batch(base.tokenize(TEXTS[row : row + 1], 32))
        alone = base.forward(own, module.visitor())
        assert torch.allclose(mixed[row, : alone.shape[1]], alone[0], atol=1e-5)
        assert not torch.allclose(alone, base.forward(own), atol=1e-3)


@pytest.mark.parametrize("places", [1, 2, 4])
def test_room_for_few_experts_gives_the_answers_of_room_for_all(made: Made, places: int) -> None:
    few, all_of_them = loaded(made, places), loaded(made)
    assert few.bank.rows == places
    wanted = all_of_them.predict(TEXTS)
    assert same(few.predict(TEXTS), wanted)
    assert same(few.predict(TEXTS[::-1])[::-1], wanted)
    assert few.bank.loads > len(made.experts) >= all_of_them.bank.loads


def test_an_expert_that_left_and_came_back_answers_with_the_same_bits(made: Made) -> None:
    few, all_of_them = loaded(made, 1), loaded(made)
    for expert in [*made.experts, *made.experts]:
        assert few.predict(TEXTS[:1], expert=expert.task) == all_of_them.predict(
            TEXTS[:1], expert=expert.task
        )
    assert (few.bank.loads, all_of_them.bank.loads) == (2 * len(DESIGNS), len(DESIGNS))


def test_nothing_is_read_until_a_text_is_sent_to_it(made: Made) -> None:
    moe = loaded(made)
    assert moe.bank.loads == 0
    [one] = moe.predict(TEXTS[:1])
    assert moe.bank.loads == 1
    assert {slot for slot, _ in moe.bank._residents.items()} == {
        [expert.name for expert in moe.experts].index(one.expert)
    }


def test_the_least_recently_used_leaves(made: Made) -> None:
    moe = loaded(made, 2)
    for slot in (0, 1, 0, 2):
        moe.predict(TEXTS[:1], expert=made.experts[slot].task)
    assert set(moe.bank._residents) == {0, 2}


@pytest.mark.parametrize("places", [2, None])
def test_threads_share_a_pool(made: Made, places: int | None) -> None:
    moe, wanted = loaded(made, places), loaded(made).predict(TEXTS)
    wrong: list[int] = []

    def ask(turn: int) -> None:
        order = list(range(len(TEXTS)))[:: 1 if turn % 2 else -1]
        found = moe.predict([TEXTS[row] for row in order])
        if not same(found, [wanted[row] for row in order]):
            wrong.append(turn)

    threads = [Thread(target=ask, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_two_generations_answer_at_once(made: Made) -> None:
    pools = [loaded(made, 2, generation) for generation in (1, 2)]
    wanted = [loaded(made, None, generation).predict(TEXTS) for generation in (1, 2)]
    found: dict[int, list[Prediction]] = {}
    threads = [
        Thread(target=lambda which=which: found.update({which: pools[which].predict(TEXTS)}))
        for which in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert all(same(found[which], wanted[which]) for which in (0, 1))


def test_a_batch_of_more_experts_than_have_room_is_refused_below_the_pool(made: Made) -> None:
    bank = loaded(made, 2).bank
    with (
        pytest.raises(InvalidSettingError, match="needs 3 experts at once, with room for 2"),
        Loan(bank) as loan,
    ):
        loan.take([0, 1, 2])
    with Loan(bank) as loan:
        loan.take([0, 1, 1])


def test_a_stream_answers_as_predict_does_and_reads_no_further_than_it_must(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.moe.WINDOW", 7)
    moe = loaded(made)
    assert same(list(moe.stream(iter(TEXTS))), moe.predict(TEXTS))
    taken = itertools.count()
    endless = (TEXTS[next(taken) % len(TEXTS)] for _ in itertools.repeat(None))
    first = list(itertools.islice(moe.stream(endless), 10))
    assert same(first, moe.predict(TEXTS)[:10])
    assert next(taken) == 14


def test_a_stream_tells_how_far_it_is(made: Made) -> None:
    told: list[tuple[str, int, int]] = []
    loaded(made).predict(TEXTS, on_progress=lambda stage, done, total, _: told.append((stage, done, total)))
    assert told[-1] == ("predicting", len(TEXTS), len(TEXTS))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_the_largest_weights_are_those_of_the_whole(made: Made) -> None:
    for one in loaded(made).predict(TEXTS[:4]):
        every = dict(one.weights)
        ordered = sorted(every.items(), key=lambda pair: (-pair[1], pair[0]))
        for count in (1, 3, len(every), 99):
            assert list(largest(one.weights, count).items()) == ordered[:count]
            assert largest(every, count) == largest(one.weights, count)


@pytest.mark.parametrize("said", ["0", "-1", "much", "1.5"])
def test_memory_for_experts_is_a_number_of_megabytes(
    made: Made, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("REGISTRY_EXPERT_MEMORY", said)
    with pytest.raises(InvalidSettingError, match="must be megabytes: a whole number above 0"):
        MoE.load(made.registry, base=made.base)


def test_memory_for_experts_is_what_the_environment_says(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_EXPERT_MEMORY", "1")
    bank = MoE.load(made.registry, base=made.base).bank
    assert bank.shelf("low_rank").places == min(len(DESIGNS), 1_000_000 // bank.shelf("low_rank").size)


def test_a_file_with_the_values_of_each_layer_apart_is_read_for_good(made: Made) -> None:
    for expert in made.experts:
        module = thawed(made.registry, made.base, expert)
        values = fetched(made.registry.blobs, expert)
        apart = {name: value for name, value in values.items() if name.startswith("head.")}
        for layout in module.layouts:
            for name in layout.values:
                for place, value in enumerate(values[layout.file_name(name)]):
                    apart[f"adapter.{layout.first + place}.{layout.module}.{name}"] = value
        found = read(made.base, expert, module.architecture, apart)
        assert {name: value.tolist() for name, value in found.items()} == {
            name: value.tolist() for name, value in values.items()
        }


def test_parts_of_many_experts_are_formed_at_once(made: Made) -> None:
    modules = [
        ExpertModule(made.base, design(made.base, labels=("a", "b"), **DESIGN), seed) for seed in (1, 2)
    ]
    own = [module.values() for module in modules]
    stacked = {name: torch.stack([one[name] for one in own]) for name in own[0]}
    for layout in modules[0].layouts:
        together = form_parts(modules[0].architecture, layout, stacked)
        for place, one in enumerate(own):
            for name, part in form_parts(modules[place].architecture, layout, one).items():
                assert torch.allclose(together[name][place], part, atol=1e-6)


def test_an_expert_of_the_papers_shapes_is_a_file_of_less_than_150_kb_on_llama_3_2_1b() -> None:
    sizes = {"self_attn.q_proj": (2048, 2048), "self_attn.v_proj": (2048, 512)}
    shapes: Any = SimpleNamespace(
        layers=16, hidden=2048, pooling=1, device=torch.device("cpu"), targets=lambda _names: sizes
    )
    arguments = DESIGN | {"preset": "paper", "first_layer": 1}
    module = ExpertModule(shapes, design(shapes, labels=("no", "yes"), **arguments))
    content = module.pack({"task": "boolq", "base_model": "0" * 64, "dataset": "0" * 64})
    adapters = sum(value.numel() for value in module.values().values())
    assert (adapters, len(tensor_files.unpack(content)[0])) == (33_920 * 15 // 16, 17)
    assert len(content) < 150_000


SHORT_OF_MEMORY = """
import resource, sys
import torch
torch.set_num_threads(1)
from registry import Registry
from tests.tiny_models import SENTENCES
from trainer.base_model import BaseModel
from trainer import batching, moe as module
from trainer.moe import MoE
module.CPU_TOKENS = 1 << 20
base = BaseModel.load(sys.argv[2], device="cpu")
texts = [" ".join(SENTENCES[place % 12:] + SENTENCES) for place in range(1024)]
with Registry(sys.argv[1]) as registry:
    moe = MoE.load(registry, 1, base=base)
    wanted = [one.label for one in moe.predict(texts[:16])]
    taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (8 << 20), -1))
    halved = []
    run = batching.Halving.run
    def watched(self, rows, work):
        found = run(self, rows, work)
        halved.append(self.most)
        return found
    batching.Halving.run = watched
    found = [one.label for one in moe.stream(texts)]
assert found[:16] == wanted and len(found) == 1024
print(halved[-1])
"""


def test_a_batch_that_memory_does_not_suffice_for_is_halved(
    tmp_path: Path, llama: BaseModel, tiny_llama_folder: Path
) -> None:
    with Registry(tmp_path / "home") as registry:
        route(registry, llama, [publish(registry, llama, "only", 0)], TEXTS)
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(tmp_path / "home"), str(tiny_llama_folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent.parent
    )
    assert done.returncode == 0, done.stderr
    assert 1 <= int(done.stdout) <= 512
