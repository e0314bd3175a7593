"""What every task kind keeps, whichever file it comes from."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from registry.errors import InvalidSettingError
from tests.trainer.tasks.samples import FILES, write
from trainer import kinds
from trainer.data import Row, TaskData, read_task
from trainer.inputs import Input
from trainer.settings import ExpertSettings
from trainer.solving import solve
from trainer.spans import by_input
from trainer.tasks import check_settings

HIDDEN = 8


@pytest.fixture(params=kinds.names("tasks"))
def name(request: pytest.FixtureRequest) -> str:
    if request.param not in FILES:
        pytest.skip(f"tests/trainer/tasks/samples.py has no rows of the kind {request.param}")
    return str(request.param)


@pytest.fixture
def family(name: str) -> ModuleType:
    return kinds.load("tasks", name)


@pytest.fixture
def reading(family: ModuleType) -> ModuleType:
    """A kind whose answers are read off pooled states."""
    if family.WRITES:
        pytest.skip("its answers are written")
    return family


@pytest.fixture
def writing(family: ModuleType) -> ModuleType:
    """A kind whose answers are written."""
    if not family.WRITES:
        pytest.skip("its answers are read off pooled states")
    return family


@pytest.fixture
def data(name: str, tmp_path: Path) -> TaskData:
    return read_task(write(tmp_path, name), kinds.load_all("tasks"), kind=name)


def test_its_roles_are_told_apart(family: ModuleType) -> None:
    assert family.TARGET in family.REQUIRED
    assert "text" in family.REQUIRED
    assert not {*family.REQUIRED} & {*family.OPTIONAL}
    assert isinstance(family.CHOICES, bool)
    assert isinstance(family.WRITES, bool)


def test_its_files_are_recognised_by_one_kind(name: str, tmp_path: Path, data: TaskData) -> None:
    every = kinds.load_all("tasks")
    columns = data.columns
    fitting = [other for other in every if every[other].recognises(columns, data.rows)]
    assert len(fitting) == 1
    assert fitting == [name] or not every[name].recognises(columns, data.rows)
    assert not every[name].recognises({**columns, "something else": "x"}, data.rows)
    without = {role: column for role, column in columns.items() if role != every[name].TARGET}
    assert not every[name].recognises(without, data.rows)


def test_its_inputs_have_choices_or_none_has(family: ModuleType, data: TaskData) -> None:
    assert {bool(row.input.choices) for row in data.rows} == {family.CHOICES}


def test_every_label_of_a_row_is_one_of_the_datasets(family: ModuleType, data: TaskData) -> None:
    named = {label for row in data.rows for label in family.labels_of(row)}
    assert named == {*data.labels}


def test_what_it_is_configured_with_is_json_and_fits_the_rows(family: ModuleType, data: TaskData) -> None:
    config = check_settings(data, ExpertSettings())
    assert json.loads(json.dumps(config)) == config
    assert ("template" in config) == family.WRITES
    for wrong in ("no place for a text", "{text} {pair}"):
        with pytest.raises(InvalidSettingError) as caught:
            check_settings(data, ExpertSettings(template=wrong))
        assert str(caught.value).isprintable()


def test_an_untrained_head_says_the_same_of_every_text(reading: ModuleType, data: TaskData) -> None:
    head = reading.head(HIDDEN, data.labels)
    said = head(torch.randn(4, HIDDEN))
    assert torch.equal(said, said[:1].expand_as(said))


def test_an_untrained_head_that_writes_leaves_the_base_models_words(
    writing: ModuleType, data: TaskData
) -> None:
    states = torch.randn(4, HIDDEN)
    assert torch.equal(writing.head(HIDDEN, data.labels)(states), states)


def test_less_surprise_is_less_loss_and_a_better_fit(writing: ModuleType, data: TaskData) -> None:
    rows = list(data.rows[:6])
    head = writing.head(HIDDEN, data.labels)
    targets = writing.targets(head, rows, data.labels)
    outputs = outputs_for(writing, head, rows)
    better = outputs * torch.tensor([0.5, 1.0])
    assert writing.loss(better, targets) < writing.loss(outputs, targets)
    for name, value in writing.fit(better).items():
        assert 0 < value < writing.fit(outputs)[name] < float("inf")
    assert not {*writing.fit(outputs)} & {*writing.metrics(["word"] * len(rows), rows)}


def test_what_it_prepares_and_settles_is_kept_with_the_head(family: ModuleType, data: TaskData) -> None:
    """A frozen head is its parameters and buffers: with the same ones it gives the same answers."""
    head, twin = (family.head(HIDDEN, data.labels) for _ in range(2))
    family.prepare(head, data.split("train"))
    rows = data.split("validation")
    family.settle(head, outputs_for(family, head, rows), rows, data.labels)
    twin.load_state_dict(head.state_dict())
    inputs, given = [row.input for row in rows], given_for(family, head, rows)
    assert family.answers(twin, given, data.labels, inputs) == family.answers(
        head, given, data.labels, inputs
    )
    assert all(buffer.isfinite().all() for buffer in head.buffers())


def outputs_for(family: ModuleType, head: torch.nn.Module, rows: list[Row]) -> torch.Tensor:
    if family.WRITES:
        sizes = torch.arange(1.0, len(rows) + 1)
        return torch.stack(
            [sizes * torch.rand(len(rows), generator=torch.Generator().manual_seed(0)), sizes], 1
        )
    counts = [len(row.input.sequences) for row in rows]
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    states = torch.randn(sum(counts), HIDDEN, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return by_input(head(states), counts)


def given_for(family: ModuleType, head: torch.nn.Module, rows: list[Row]) -> torch.Tensor | list[str]:
    """What its `answers` are told from: outputs, or the texts that were written."""
    if family.WRITES:
        return [f"{row.text} {place}" for place, row in enumerate(rows)]
    return outputs_for(family, head, rows)


def test_gradient_steps_on_its_loss_lead_to_the_right_answers(reading: ModuleType, data: TaskData) -> None:
    """On states that tell everything: one of its own for each sequence."""
    family = reading
    rows = list(data.rows[:12])
    counts = [len(row.input.sequences) for row in rows]
    states = torch.eye(sum(counts))
    head = family.head(len(states), data.labels)
    family.prepare(head, rows)
    targets = family.targets(head, rows, data.labels)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        loss = family.loss(by_input(head(states), counts), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
    outputs = by_input(head(states), counts).detach()
    family.settle(head, outputs, rows, data.labels)
    given = family.answers(head, outputs, data.labels, [row.input for row in rows])
    said = [one.label for one in given]
    metrics = family.metrics(said, rows)
    assert next(iter(metrics)) == family.METRIC
    assert metrics[family.METRIC] > 0.99
    assert min(family.credits(said, rows)) > 0.9


def test_a_head_that_is_solved_tells_what_states_tell(family: ModuleType, data: TaskData) -> None:
    if not hasattr(family, "aims"):
        pytest.skip("its heads have no closed form")
    rows = list(data.rows)
    generator = torch.Generator().manual_seed(0)
    targets = family.targets(family.head(1, data.labels), rows, data.labels)
    outputs = len(family.head(1, data.labels).weight)
    told = family.aims(targets, outputs).float()
    assert told.shape == (len(rows), outputs)
    states = torch.cat([told, torch.randn(len(rows), 5, generator=generator)], 1)
    found = solve(family, states, rows, data.labels)
    noise = solve(family, torch.randn(len(rows), 5, generator=generator), rows, data.labels)
    assert found.loss < noise.loss / 2
    given = family.answers(found.head, found.left_out, data.labels, [row.input for row in rows])
    metrics = family.metrics([one.label for one in given], rows)
    assert metrics[family.METRIC] > 0.95


def test_the_loss_of_a_batch_is_the_mean_over_its_rows(family: ModuleType, data: TaskData) -> None:
    rows = list(data.rows[:6])
    head = family.head(HIDDEN, data.labels)
    family.prepare(head, rows)
    outputs, targets = outputs_for(family, head, rows), family.targets(head, rows, data.labels)
    parts = [family.loss(outputs[place : place + 1], targets[place : place + 1]) for place in range(6)]
    assert torch.allclose(family.loss(outputs, targets), torch.stack(parts).mean(), atol=1e-6)


def test_answers_do_not_depend_on_what_else_is_asked(family: ModuleType, data: TaskData) -> None:
    rows = data.split("test")
    head = family.head(HIDDEN, data.labels)
    family.prepare(head, rows)
    given = given_for(family, head, rows)
    inputs: list[Input] = [row.input for row in rows]
    together = family.answers(head, given, data.labels, inputs)
    for place, one in enumerate(inputs):
        [alone] = family.answers(head, given[place : place + 1], data.labels, [one])
        assert (alone.label, alone.index) == (together[place].label, together[place].index)
        assert alone.probabilities == pytest.approx(together[place].probabilities)
        assert alone.value == pytest.approx(together[place].value)
    assert family.answers(head, given[:0], data.labels, []) == []


def test_probabilities_are_probabilities(family: ModuleType, data: TaskData) -> None:
    rows = data.split("test")
    head = family.head(HIDDEN, data.labels)
    for one in family.answers(head, given_for(family, head, rows), data.labels, [row.input for row in rows]):
        assert all(0 <= share <= 1 for share in one.probabilities.values())
        assert one.probability is None or 0 <= one.probability <= 1


def test_credits_are_shares_and_the_metrics_numbers(family: ModuleType, data: TaskData) -> None:
    rows = data.split("test")
    head = family.head(HIDDEN, data.labels)
    given = family.answers(head, given_for(family, head, rows), data.labels, [row.input for row in rows])
    said = [one.label for one in given]
    credits = family.credits(said, rows)
    assert len(credits) == len(rows)
    assert all(0 <= credit <= 1 for credit in credits)
    assert all(abs(value) < float("inf") for value in family.metrics(said, rows).values())


def test_several_experts_answer_together(family: ModuleType, data: TaskData) -> None:
    torch.manual_seed(0)
    heads = [family.head(HIDDEN, data.labels) for _ in range(2)]
    rows = list(data.rows[:6])
    for made in heads:
        family.prepare(made, rows)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.normal_()
    inputs = [row.input for row in rows]
    counts = [len(one.sequences) for one in inputs]
    states = torch.randn(sum(counts), HIDDEN)
    with torch.no_grad():
        each = [family.answers(made, by_input(made(states), counts), data.labels, inputs) for made in heads]
    for asked, one, other in zip(inputs, *each, strict=True):
        agreed = family.combine([one, one], (0.5, 0.5), asked)
        assert (agreed.label, agreed.index) == (one.label, one.index)
        assert agreed.probabilities == pytest.approx(one.probabilities)
        outvoted = family.combine([one, other], (0.999, 0.001), asked)
        assert outvoted.probabilities == pytest.approx(one.probabilities, abs=2e-3)
        turned = family.combine([other, one], (0.4, 0.6), asked)
        straight = family.combine([one, other], (0.6, 0.4), asked)
        assert turned.probabilities == pytest.approx(straight.probabilities)
        assert (turned.value is None) == (one.value is None)
        assert turned.index is None or asked.choices[turned.index] == turned.label
