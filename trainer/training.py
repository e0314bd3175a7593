"""Trains experts: AdamW, warm-up and linear decay, early stopping on validation, the best state kept.

Several experts may share each pass through the base model. Everything else is each one's own, and each sees
the same rows in the same order as alone.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import torch

from trainer import allocator, denormals
from trainer.batching import lacks_memory
from trainer.encoding import final_states
from trainer.forming import Together
from trainer.learner import Learner, TrainingState
from trainer.looks import look
from trainer.progress import Progress, Stopped, draw, silent
from trainer.trainee import Trainee

CHECKPOINT_SECONDS = 30.0
SEQUENCES = 64
"""In one part of a batch at most, where its rows have several: all their states are kept for gradients."""


def train(
    trainee: Trainee, *, checkpoint_seconds: float = CHECKPOINT_SECONDS, on_progress: Progress = silent
) -> TrainingState:
    """Train one expert.

    A checkpoint is written after each epoch, when `checkpoint_seconds` have passed since the last, and when
    `on_progress` raises Stopped.

    Raises:
        InvalidSettingError: the loss is no longer a finite number.
    """
    train_together([trainee], checkpoint_seconds=checkpoint_seconds, on_progress=on_progress)
    return trainee.state


@denormals.flushed()
@allocator.kept()
def train_together(
    trainees: Sequence[Trainee],
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    on_progress: Progress = silent,
) -> None:
    """Train experts of one design on one base model, a batch of each in every step; otherwise as `train`."""
    for trainee in trainees:
        look(trainee, on_progress)
    learn(trainees, checkpoint_seconds=checkpoint_seconds, on_progress=on_progress)


@denormals.flushed()
@allocator.kept()
def learn(
    trainees: Sequence[Learner[Any]],
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    on_progress: Progress = silent,
) -> None:
    """Train what has begun already: experts as `train_together`, or one thing of another sort."""
    saved_at, parts, total = time.monotonic(), 1, sum(trainee.pace.rows for trainee in trainees)
    _draw(on_progress, trainees)
    while active := [trainee for trainee in trainees if not trainee.ended]:
        parts = _step(active, parts)
        ended = [trainee for trainee in active if trainee.at_epoch_end]
        if ended:
            _draw(on_progress, trainees)
        try:
            on_progress("training", sum(trainee.rows_seen for trainee in trainees), total, _note(trainees))
        except Stopped:
            for trainee in active:
                trainee.save()
            raise
        late = time.monotonic() - saved_at >= checkpoint_seconds
        for trainee in active if late else ended:
            trainee.save()
        if late or ended:
            saved_at = time.monotonic()
    for trainee in trainees:
        trainee.finish()
    on_progress("training", total, total, _note(trainees))


def _step(trainees: Sequence[Learner[Any]], parts: int) -> int:
    """One step of each trainee, its batch in so many parts, or more where memory is short; gives how many."""
    batches = [trainee.next_batch() for trainee in trainees]
    # Not for the steps to come: what a step computes depends on its batch alone, also after a checkpoint.
    least = max(_least_parts(*each) for each in zip(trainees, batches, strict=True))
    while True:
        split = max(parts, least)
        for trainee in trainees:
            trainee.optimizer.zero_grad(set_to_none=True)
        try:
            losses = _backward(trainees, batches, split)
            break
        except RuntimeError as reason:
            if not lacks_memory(reason) or split >= max(len(batch) for batch in batches):
                raise
        parts = 2 * split
    for trainee, loss in zip(trainees, losses, strict=True):
        trainee.learn(loss)
    return parts


def _least_parts(trainee: Learner[Any], batch: Sequence[int]) -> int:
    """In how many parts a batch runs, memory permitting: one, unless its rows are several sequences."""
    sequences = sum(trainee.encoding.counted([trainee.rows[place] for place in batch]))
    return min(len(batch), math.ceil(sequences / max(SEQUENCES, len(batch))))


def _backward(trainees: Sequence[Learner[Any]], batches: Sequence[list[int]], parts: int) -> list[float]:
    """Gradients of the mean loss over each trainee's batch; the losses."""
    losses = torch.zeros(len(trainees), device=trainees[0].encoding.base.device)
    for part in range(parts):
        # The last batch of an epoch may have fewer rows than there are parts.
        shares = [
            (number, trainee, batch[part::parts], len(batch))
            for number, (trainee, batch) in enumerate(zip(trainees, batches, strict=True))
            if batch[part::parts]
        ]
        learners = [one for _, one, _, _ in shares]
        places = [[one.rows[place] for place in own] for _, one, own, _ in shares]
        counts = [
            sum(one.encoding.counted(rows)) for (_, one, _, _), rows in zip(shares, places, strict=True)
        ]
        alone = len(learners) == 1
        visitor = learners[0].visitor() if alone else Together([one.module for one in learners], counts)
        final, batch = final_states(
            [(one.encoding, rows) for (_, one, _, _), rows in zip(shares, places, strict=True)], visitor
        )
        total, first = final.new_zeros(()), 0
        for (number, one, own, whole), count in zip(shares, counts, strict=True):
            sequences = slice(first, first + count)
            loss = len(own) / whole * one.loss(final[sequences], batch.part(sequences), own)
            losses[number] += loss.detach()
            total, first = total + loss, sequences.stop
        total.backward()
    found: list[float] = losses.tolist()
    return found


def _draw(on_progress: Progress, trainees: Sequence[Learner[Any]]) -> None:
    """The curve of a trainee that is alone; those of several would not fit one picture."""
    if len(trainees) == 1:
        draw(on_progress, trainees[0].state.history)


def _note(trainees: Sequence[Learner[Any]]) -> str:
    if len(trainees) == 1:
        return _note_of(trainees[0])
    open_ones = sum(not trainee.ended for trainee in trainees)
    return f"{len(trainees)} experts together, {open_ones} of them not done yet"


def _note_of(trainee: Learner[Any]) -> str:
    state, pace = trainee.state, trainee.pace
    within = state.step % pace.steps_per_epoch
    loss = state.loss_sum / within if within else state.history[-1]["loss"]
    epoch = math.ceil(state.step / pace.steps_per_epoch)
    note = f"epoch {epoch} of {pace.epochs}, loss {loss:.3f}"
    if not state.history:
        return note
    measured = {name: value for name, value in state.history[-1].items() if name.startswith("validation_")}
    measured.pop("validation_loss")
    name, value = next(iter(measured.items()))
    return f"{note}, {name.replace('_', ' ', 1)} {value:.3f}"
