"""The base model gives the Hugging Face model's states, whole or in parts, padded or not, watched or not."""

import shutil
from pathlib import Path
from threading import Barrier, Thread

import pytest
import torch
from torch import Tensor
from transformers import AutoModel

from registry.errors import InvalidSettingError, NotFoundError
from tests.tiny_models import SENTENCES
from trainer import sources
from trainer.adapters import ATTENTION
from trainer.base_model import BaseModel, choose_device, default_first_layer
from trainer.visitors import LAST, MEAN, Taps, Visitor, pool

TEXTS = ("Yes.", *SENTENCES[:4], "A film about the moon")


class Shift(Visitor):
    """Adds a constant to what some linear layers give."""

    def __init__(self, amount: float, module: str) -> None:
        self.amount, self.module = amount, module

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        return output + self.amount if module.endswith(self.module) else None


def target(base: BaseModel) -> str:
    return "q_proj" if base.is_decoder else "query"


def untouched(base: BaseModel) -> torch.nn.Module:
    """The same model as transformers loads it, without hooks."""
    return AutoModel.from_pretrained(base.record.spec, dtype=torch.float32).eval()


def states(base: BaseModel, visitor: Visitor | None = None) -> Tensor:
    with torch.no_grad():
        return base.forward(base.batch(base.tokenize(TEXTS, 64)), visitor)


@torch.no_grad()
def test_without_a_visitor_it_is_the_hugging_face_model_bit_by_bit(base: BaseModel) -> None:
    batch = base.batch(base.tokenize(TEXTS, 64))
    inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
    if not base.is_decoder:
        inputs["token_type_ids"] = batch.types
    assert torch.equal(base.forward(batch), untouched(base)(**inputs).last_hidden_state)


def test_a_visitor_that_only_looks_changes_no_bit(base: BaseModel) -> None:
    assert torch.equal(states(base, Taps(range(5))), states(base))


@torch.no_grad()
def test_taps_see_what_enters_each_layer_and_what_leaves_the_last(base: BaseModel) -> None:
    batch, taps = base.batch(base.tokenize(TEXTS, 64)), Taps(range(base.layers + 1))
    final = base.forward(batch, taps)
    inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
    if not base.is_decoder:
        inputs["token_type_ids"] = batch.types
    between = untouched(base)(**inputs, output_hidden_states=True).hidden_states
    assert sorted(taps.states) == [0, 1, 2, 3, 4]
    assert all(torch.equal(taps.states[layer], between[layer]) for layer in range(base.layers))
    assert torch.equal(taps.states[base.layers], final)


@pytest.mark.parametrize("layer", [1, 2, 3])
@torch.no_grad()
def test_going_on_from_a_layer_equals_the_whole_model(base: BaseModel, layer: int) -> None:
    batch, taps, visitor = base.batch(base.tokenize(TEXTS, 64)), Taps([layer]), Shift(0.5, target(base))
    plain = base.forward(batch, taps)
    # What is added below `layer` changes what enters it, so the visitor acts on the upper layers only.
    upper = base.forward_from(layer, taps.states[layer], batch)
    kept = batch.mask.bool()
    assert torch.allclose(upper[kept], plain[kept], atol=1e-6)
    assert base.can_resume_at(layer)
    shifted = base.forward_from(layer, taps.states[layer], batch, visitor)
    assert not torch.allclose(shifted[kept], plain[kept], atol=1e-2)


@torch.no_grad()
def test_the_upper_layers_keep_their_numbers(base: BaseModel) -> None:
    batch, low, high = base.batch(base.tokenize(TEXTS, 64)), Taps([2]), Taps(range(5))
    base.forward(batch, low)
    base.forward_from(2, low.states[2], batch, high)
    assert sorted(high.states) == [2, 3, 4]


@torch.no_grad()
def test_running_up_to_a_layer_gives_the_same_taps(base: BaseModel) -> None:
    batch, whole, part = base.batch(base.tokenize(TEXTS, 64)), Taps([1, 2]), Taps([1, 2, 3, 4])
    base.forward(batch, whole)
    base.forward_to(2, batch, part)
    assert part.states.keys() == whole.states.keys() == {1, 2}
    assert all(torch.equal(part.states[layer], whole.states[layer]) for layer in (1, 2))
    assert torch.equal(states(base), states(base))


@torch.no_grad()
def test_padding_changes_nothing(base: BaseModel) -> None:
    tokens = base.tokenize(TEXTS, 64)
    batch, together = base.batch(tokens), Taps([1, 4])
    final = base.forward(batch, together)
    for row, one in enumerate(tokens):
        single, taps = base.batch([one]), Taps([1, 4])
        alone = base.forward(single, taps)
        assert torch.allclose(final[row, : len(one.ids)], alone[0], atol=1e-5)
        for layer in (1, 4):
            padded = pool(together.states[layer], batch.mask)[row]
            assert torch.allclose(padded, pool(taps.states[layer], single.mask)[0], atol=1e-5)


def test_pooling_is_the_mean_over_tokens_and_the_last_token() -> None:
    hidden = torch.arange(24.0).reshape(2, 4, 3)
    pooled = pool(hidden, torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]))
    assert torch.equal(pooled[:, MEAN], torch.stack([hidden[0, :2].mean(0), hidden[1].mean(0)]))
    assert torch.equal(pooled[:, LAST], torch.stack([hidden[0, 1], hidden[1, 3]]))


def test_what_a_visitor_adds_arrives_at_its_layers_only(base: BaseModel) -> None:
    class Recorder(Visitor):
        def __init__(self) -> None:
            self.seen = set[tuple[int, str]]()

        def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
            self.seen.add((layer, module.rsplit(".", 1)[-1]))
            return None

    states(base, recorder := Recorder())
    every = {(layer, target(base)) for layer in range(base.layers)}
    assert every < recorder.seen
    assert not torch.allclose(states(base, Shift(0.5, target(base))), states(base), atol=1e-2)
    assert torch.equal(states(base, Shift(0.0, "no such layer")), states(base))


def test_threads_with_different_visitors_do_not_disturb_each_other(base: BaseModel) -> None:
    visitors = [None, Shift(0.5, target(base)), Shift(-0.5, target(base))]
    alone = [states(base, visitor) for visitor in visitors]
    start = Barrier(len(visitors))
    wrong: list[int] = []

    def run(which: int) -> None:
        start.wait()
        for _ in range(10):
            if not torch.equal(states(base, visitors[which]), alone[which]):
                wrong.append(which)

    threads = [Thread(target=run, args=(which,)) for which in range(len(visitors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_visitor_that_fails_is_forgotten(base: BaseModel) -> None:
    class Broken(Visitor):
        def enter(self, layer: int, hidden: Tensor) -> None:
            raise ZeroDivisionError

    before = states(base)
    with pytest.raises(ZeroDivisionError):
        states(base, Broken())
    assert torch.equal(states(base), before)


def test_targets_are_linear_layers_by_last_name(llama: BaseModel, bert: BaseModel) -> None:
    assert llama.targets(ATTENTION) == {"self_attn.q_proj": (48, 48), "self_attn.v_proj": (48, 24)}
    assert bert.targets(ATTENTION) == {"attention.self.query": (48, 48), "attention.self.value": (48, 48)}
    assert set(llama.targets(["down_proj"])) == {"mlp.down_proj"}


def test_a_target_with_a_dot_is_a_full_name_inside_the_layer(bert: BaseModel) -> None:
    assert set(bert.targets(["dense"])) == {"attention.output.dense", "intermediate.dense", "output.dense"}
    assert set(bert.targets(["output.dense"])) == {"output.dense"}
    assert bert.targets(["attention.output.dense", "query"]) == {
        "attention.self.query": (48, 48),
        "attention.output.dense": (48, 48),
    }


def test_an_unknown_suffix_is_refused_with_those_there_are(llama: BaseModel) -> None:
    with pytest.raises(NotFoundError) as refusal:
        llama.targets(["query"])
    assert str(refusal.value) == (
        "no linear layer called query; this model has "
        "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"
    )


def test_an_empty_text_is_one_token_or_two_and_has_finite_states(llama: BaseModel, bert: BaseModel) -> None:
    assert [one.ids for one in llama.tokenize([""], 8)] == [[llama.tokenizer.eos_token_id]]
    ends = [bert.tokenizer.cls_token_id, bert.tokenizer.sep_token_id]
    assert [one.ids for one in bert.tokenize([""], 8)] == [ends]
    for base in (llama, bert):
        batch = base.batch(base.tokenize(["", TEXTS[1]], 64))
        assert base.forward(batch).isfinite().all()


def test_no_texts_are_no_tokens(base: BaseModel) -> None:
    assert base.tokenize([], 8) == []


def test_a_text_that_is_cut_says_so(base: BaseModel) -> None:
    text = SENTENCES[0]
    size = len(base.tokenize([text], 512)[0].ids)
    whole, exact, cut = (base.tokenize([text], limit)[0] for limit in (size + 1, size, size - 1))
    assert (whole.cut, exact.cut, cut.cut) == (False, False, True)
    assert whole.ids == exact.ids
    assert (len(cut.ids), len(cut.types)) == (size - 1, size - 1)


def test_a_cut_text_of_an_encoder_keeps_its_end_mark(bert: BaseModel) -> None:
    whole, cut = bert.tokenize([SENTENCES[0]], 64)[0], bert.tokenize([SENTENCES[0]], 6)[0]
    assert cut.ids == [*whole.ids[:5], bert.tokenizer.sep_token_id]


def test_a_cut_text_of_a_decoder_is_its_beginning(llama: BaseModel) -> None:
    whole, cut = llama.tokenize([SENTENCES[0]], 64)[0], llama.tokenize([SENTENCES[0]], 6)[0]
    assert cut.ids == whole.ids[:6]


@pytest.mark.parametrize("limit", [0, -1, 10_000])
def test_a_length_limit_out_of_range_is_refused(base: BaseModel, limit: int) -> None:
    with pytest.raises(InvalidSettingError, match=rf"max length {limit} does not fit .*: choose 1 to \d+"):
        base.tokenize(["a text"], limit)


@pytest.mark.parametrize("limit", [1, 512])
def test_the_limits_of_the_range_work(base: BaseModel, limit: int) -> None:
    long = " ".join(SENTENCES * 20)
    tokens = base.tokenize([long], limit)
    assert (len(tokens[0].ids), tokens[0].cut) == (limit, True)
    assert base.forward(base.batch(tokens)).isfinite().all()


def test_a_pair_is_not_its_texts_run_together(base: BaseModel) -> None:
    same = base.tokenize([("the moon", None), "the moon"], 64)
    assert same[0] == same[1]
    different = base.tokenize([("a b", "c"), ("a", "b c"), "a b c", ("c", "a b")], 64)
    assert len({tuple(one.ids) for one in different}) == 4


def test_an_encoder_marks_the_second_text(bert: BaseModel) -> None:
    pair = bert.tokenize([("the moon", "the sea")], 64)[0]
    assert pair.types == [0, 0, 0, 0, 1, 1, 1]


def test_its_record_says_what_it_is(llama: BaseModel, bert: BaseModel, tiny_llama_folder: Path) -> None:
    record = llama.record
    assert (record.architecture, record.hidden_size, record.layers) == ("LlamaModel", 48, 4)
    assert record.parameters == sum(one.numel() for one in untouched(llama).parameters())
    assert (record.spec, record.name) == (str(tiny_llama_folder.resolve()), tiny_llama_folder.name)
    assert (bert.record.architecture, bert.record.hidden_size, bert.record.layers) == ("BertModel", 48, 4)
    assert llama.record.fingerprint != bert.record.fingerprint


def test_heads_read_the_last_token_of_a_decoder_and_the_mean_of_an_encoder(
    llama: BaseModel, bert: BaseModel
) -> None:
    assert (llama.is_decoder, llama.pooling) == (True, LAST)
    assert (bert.is_decoder, bert.pooling) == (False, MEAN)


def test_it_is_frozen(base: BaseModel) -> None:
    assert not base.model.training
    assert not any(parameter.requires_grad for parameter in base.model.parameters())


def test_a_copy_in_another_folder_is_the_same_base_model(
    llama: BaseModel, tmp_path: Path, session_cache: Path
) -> None:
    shutil.copytree(llama.record.spec, tmp_path / "elsewhere")
    twin = BaseModel(sources.resolve(str(tmp_path / "elsewhere"), cache=session_cache), "cpu")
    assert twin.record.fingerprint == llama.record.fingerprint
    assert torch.equal(states(twin), states(llama))


@pytest.mark.parametrize("name", ["cuda:99", "tpu-of-my-own", "gpu"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettingError) as refusal:
        choose_device(name)
    assert str(refusal.value) == f"device {name!r} cannot be used here; try auto or cpu"


def test_experts_begin_at_about_27_percent_of_the_depth_and_never_at_the_bottom() -> None:
    assert [default_first_layer(depth) for depth in (2, 4, 6, 12, 16, 30)] == [1, 1, 2, 3, 4, 8]
