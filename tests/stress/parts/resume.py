"""Training that is stopped, killed and started again ends with the bytes of training that was not."""

import os
import signal
from pathlib import Path

from registry import Registry
from tests.stress.forks import start
from tests.stress.sizes import Progress, sized

TITLE = "training is stopped and killed at a step, and started again"
TARGET = "20 kill points: the resumed expert is bit-equal to the uninterrupted one, on the CPU"
MINUTES = 1.5
SMALL = 0.05

POINTS = 20
ROWS_A_STEP = 4
TASK = "mood"


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """At each point: asked to stop there, so that a checkpoint is written in the middle of an epoch; started
    again, killed a little later; started again. Then all kills in one run."""
    from tests.tiny_models import tiny_llama

    model = tiny_llama(folder / "model")
    count = sized(POINTS, scale)
    digest, steps = uninterrupted(folder, model)
    points = [1 + place * (steps - 2) // count for place in range(count)]
    progress = Progress(count, "kill points")
    equal = kills = resumed = 0
    for point in points:
        home = folder / f"at-{point}"
        survived(train(home, model, stop_at=point))
        killed = train(home, model, kill_at=point + 1)
        kills += killed is None
        found = survived(train(home, model))
        resumed += found[1] > ROWS_A_STEP
        equal += found[0] == digest
        progress.step()
    chained = folder / "chained"
    for point in points:
        kills += train(chained, model, kill_at=point + 1) is None
    return {
        "points": count,
        "steps": steps,
        "kills": kills,
        "resumed": resumed,
        "bit_equal": equal,
        "chained_bit_equal": int(survived(train(chained, model))[0] == digest),
    }


def reached(figures: dict[str, int | float]) -> bool:
    """Every kill hit, every run went on from its checkpoint, and all ended with the same bytes."""
    points = figures["points"]
    whole = figures["kills"] >= points and figures["resumed"] == figures["bit_equal"] == points
    return whole and figures["chained_bit_equal"] == 1


def uninterrupted(folder: Path, model: Path) -> tuple[str, int]:
    """The expert's digest, and the number of steps of its training."""
    seen = folder / "steps"
    digest, _ = survived(train(folder / "whole", model, note=seen))
    return digest, len(seen.read_text().split())


def train(
    home: Path, model: Path, *, stop_at: int = 0, kill_at: int = 0, note: Path | None = None
) -> tuple[str, int] | None:
    """Trains in a process of its own; the expert's digest and the rows seen at its first step.

    None if the process was killed.
    """
    result = home.with_suffix(".result")
    result.unlink(missing_ok=True)
    status = os.waitpid(start(lambda: work(home, model, result, stop_at, kill_at, note)), 0)[1]
    if os.WIFSIGNALED(status):
        return None
    if status != 0:
        raise ChildProcessError(f"training ended with {status}")
    words = result.read_text().split() if result.exists() else ["", "0"]
    return words[0], int(words[1])


def survived(found: tuple[str, int] | None) -> tuple[str, int]:
    """What came of training that nobody killed."""
    if found is None:
        raise ChildProcessError("training was killed, though nobody meant to")
    return found


def work(home: Path, model: Path, result: Path, stop_at: int, kill_at: int, note: Path | None) -> None:
    """What the process does. Torch is first used in here: its threads do not survive a fork."""
    from tests.trainer.samples import write
    from trainer import ExpertSettings, add_task
    from trainer.progress import Stopped

    os.environ["REGISTRY_CACHE"] = str(model.parent / "cache")
    home.mkdir(exist_ok=True)
    first: list[int] = []

    def watch(stage: str, done: int, total: int, _note: str) -> None:
        if stage != "training":
            return
        first.append(done)
        step = -(-done // ROWS_A_STEP)
        if note is not None and done != total:
            with note.open("a") as file:
                file.write(f"{done}\n")
        if step == stop_at:
            raise Stopped
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = ExpertSettings(epochs=4, batch_size=ROWS_A_STEP, max_length=32, first_layer=2, patience=9)
    with Registry(home) as registry:
        try:
            made = add_task(
                registry, write(home, TASK), base_model=str(model), settings=settings, on_progress=watch
            )
        except Stopped:
            return
    result.write_text(f"{made.expert.sha256} {first[0]}")
