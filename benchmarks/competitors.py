"""Who trains in `benchmarks.training`: each in a process of its own, a block of steps at a time.

A competitor is the real thing from beginning to end: ours is `add_rows` on a new home, PEFT's is the
Trainer. It hands its turn over after so many steps, from inside its own loop, so that several can be run in
turns on one machine and a slow moment hits all of them.
"""

import multiprocessing
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from trainer import kinds, sources
from trainer.data import TaskData, read_task


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        who: `ours`, `peft` (LoRA, its batches in random order) or `peft_grouped` (of about equal length).
        first_layer: that adapters change.
        limit: steps after which it is broken off; None for the whole training.
    """

    who: str
    task: str
    data: Path
    test: Path
    base_model: str
    first_layer: int
    epochs: int
    batch_size: int
    max_length: int
    seed: int
    threads: int
    block: int
    work: Path
    limit: int | None = None

    @property
    def name(self) -> str:
        """Under which its result is kept; equal names, equal results."""
        how = f"b{self.batch_size}-l{self.max_length}-e{self.epochs}-t{self.threads}-s{self.seed}"
        model = Path(self.base_model).name
        return f"{self.who}-k{self.first_layer}-{self.data.stem}-{model}-{how}-{self.limit or 'all'}"


class BrokenOff(BaseException):
    """The steps that were wanted are done."""


class Turns:
    """What a competitor calls after each step; every so many it reports and waits for its next turn."""

    def __init__(self, pipe: Connection, job: Job) -> None:
        self._pipe = pipe
        self._job = job
        self._rows = self._steps = self._all_steps = 0
        self._wait()

    def step(self, rows: int) -> None:
        """A training step of so many rows is done."""
        self._rows += rows
        self._steps += 1
        self._all_steps += 1
        if self._all_steps == self._job.limit:
            self.over("steps")
            raise BrokenOff
        if self._steps == self._job.block:
            self.over("steps")

    def over(self, what: str) -> None:
        """Hand over the turn; all since the last time was `what`."""
        wall, processor = time.perf_counter() - self._wall, time.process_time() - self._processor
        self._pipe.send(
            {"what": what, "rows": self._rows, "steps": self._steps, "wall": wall, "processor": processor}
        )
        self._wait()

    def _wait(self) -> None:
        self._pipe.recv()
        self._rows = self._steps = 0
        self._wall, self._processor = time.perf_counter(), time.process_time()


def run_in_turns(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Train all, a block of each in turn; for each the blocks and what came of it.

    Raises:
        RuntimeError: one of them has failed.
    """
    context = multiprocessing.get_context("spawn")
    results: list[dict[str, Any]] = [{"blocks": []} for _ in jobs]
    with _processes(context, jobs) as pipes:
        running = dict(enumerate(pipes))
        while running:
            for number, pipe in list(running.items()):
                pipe.send("go")
                told = pipe.recv()
                if "failed" in told:
                    raise RuntimeError(f"{jobs[number].name} failed:\n{told['failed']}")
                if "done" in told:
                    results[number] |= told["done"]
                    del running[number]
                else:
                    results[number]["blocks"].append(told)
    return results


@contextmanager
def _processes(context: Any, jobs: Sequence[Job]) -> Iterator[list[Connection]]:
    pipes, processes = [], []
    for job in jobs:
        here, there = context.Pipe()
        process = context.Process(target=_compete, args=(there, job), daemon=True)
        process.start()
        # It has been given its end; with this one closed its death can be seen.
        there.close()
        pipes.append(here)
        processes.append(process)
    try:
        yield pipes
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _compete(pipe: Connection, job: Job) -> None:
    """What a process does: everything that takes time and is not training comes before the first turn."""
    import torch

    torch.set_num_threads(job.threads)
    folder = job.work / "running" / job.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        done = {"ours": _ours}.get(job.who, _peft)(pipe, job, folder)
    except BrokenOff:
        done = {}
    except Exception:
        pipe.send({"failed": traceback.format_exc()})
        return
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    pipe.send({"done": done})


def _rows(job: Job) -> TaskData:
    return read_task(job.data, kinds.load_all("tasks"), test=job.test)


def _ours(pipe: Connection, job: Job, folder: Path) -> dict[str, Any]:
    from registry import Registry
    from trainer.base_model import BaseModel
    from trainer.pipeline import add_rows
    from trainer.settings import ExpertSettings

    base, rows = BaseModel.load(job.base_model, device="cpu"), _rows(job)
    settings = ExpertSettings(
        first_layer=job.first_layer,
        epochs=job.epochs,
        batch_size=job.batch_size,
        max_length=job.max_length,
        patience=job.epochs,
        seed=job.seed,
    )
    turns, seen = Turns(pipe, job), 0

    def progress(stage: str, done: int, total: int, _note: str) -> None:
        nonlocal seen
        if stage == "reading texts" and done == total:
            turns.over("states")
        elif stage == "training" and done > seen:
            turns.step(done - seen)
            seen = done
            if done == total:
                turns.over("end")

    with Registry(folder / "home") as registry:
        added = add_rows(registry, job.task, rows, base_model=base, settings=settings, on_progress=progress)
        best = max(row["validation_accuracy"] for row in registry.run(added.expert.run).history)
    return {
        "accuracy": added.metrics["test"]["accuracy"],
        "validation": best,
        "parameters": added.expert.parameters,
    }


PEFT_RATE = 1e-3


def _peft(pipe: Connection, job: Job, folder: Path) -> dict[str, Any]:
    """LoRA as its users train it: `peft`, the Trainer, dynamic padding, the best epoch kept."""
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, set_seed

    set_seed(job.seed)
    source, rows = sources.resolve(job.base_model), _rows(job)
    tokenizer = AutoTokenizer.from_pretrained(source.folder, local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = _peft_model(job, source.folder, len(rows.labels), tokenizer.pad_token_id)
    splits = {name: _items(job, rows, tokenizer, name) for name in ("train", "validation", "test")}
    trainer = Trainer(
        model=model,
        args=_peft_arguments(job, folder),
        train_dataset=splits["train"],
        eval_dataset=splits["validation"],
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda found: {
            "accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())
        },
    )
    trainer.add_callback(_hands_over(Turns(pipe, job), job, len(splits["train"])))
    trainer.train()
    test = trainer.predict(splits["test"])
    return {
        "accuracy": test.metrics["test_accuracy"],
        "validation": trainer.state.best_metric,
        "parameters": model.num_parameters(only_trainable=True),
    }


def _peft_model(job: Job, folder: Path, labels: int, pad: int) -> Any:
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=labels, local_files_only=True, dtype="float32"
    )
    model.config.pad_token_id = pad
    layers = list(range(job.first_layer, model.config.num_hidden_layers))
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=16,
        lora_alpha=16,
        lora_dropout=0.0,
        target_modules=["q_proj", "v_proj"],
        layers_to_transform=layers if job.first_layer else None,
    )
    return get_peft_model(model, config)


def _peft_arguments(job: Job, folder: Path) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        num_train_epochs=job.epochs,
        per_device_train_batch_size=job.batch_size,
        per_device_eval_batch_size=job.batch_size,
        learning_rate=PEFT_RATE,
        lr_scheduler_type="linear",
        warmup_steps=0.1,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        train_sampling_strategy="group_by_length" if job.who == "peft_grouped" else "random",
        use_cpu=True,
        seed=job.seed,
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
    )


def _items(job: Job, rows: TaskData, tokenizer: Any, split: str) -> list[dict[str, Any]]:
    """The rows of a split, tokenized; a list is all that the Trainer needs of a dataset."""
    found = []
    for row in (one for one in rows.rows if one.split == split):
        text = row.text if row.text_pair is None else f"{row.text}\n{row.text_pair}"
        ids = tokenizer(text, truncation=True, max_length=job.max_length)["input_ids"]
        label = rows.labels.index(row.values["label"])
        found.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": label})
    return found


def _hands_over(turns: Turns, job: Job, rows: int) -> Any:
    from transformers import TrainerCallback

    class HandsOver(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            within = (state.global_step - 1) % -(-rows // job.batch_size)
            turns.step(min(job.batch_size, rows - within * job.batch_size))

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            turns.over("end")

    return HandsOver()
