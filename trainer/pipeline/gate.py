"""The promotion gate: whether a new generation answers the tasks of the one in production as well as it does.

Both are asked the same held-out rows of every task that production answers. Each answer has a credit from 0
to 1 (`trainer.tasks`), which for a task with one right answer is 1 or 0. What counts are the rows whose
credits differ: `lost` ones that production answers better, `gained` ones that the candidate does. Were both
equally good, each such row would be lost or gained by the toss of a coin, so the chance of at least that many
losses is a tail of the binomial distribution (the exact one-sided sign test; where credits are 1 and 0,
McNemar's). A task fails when its mean credit falls by more than the tolerance and that chance is below the
level.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from registry import Expert, Generation, RegistryError
from trainer.pipeline.archive import Archive
from trainer.pipeline.mixed_pool import frozen_pool
from trainer.pipeline.routed_pool import RoutedPool

LEVEL = 0.1
"""How improbable a loss must be by chance before it counts as one: refusing a good generation costs a person
one look at the table, promoting a bad one costs its users their answers."""

SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One task's held-out rows before and after.

    Attributes:
        answered: whether the candidate has an expert for the task at all.
        before, after: mean credit of production and of the candidate: where answers are right or wrong, the
            share of rows answered rightly.
        lost, gained: rows that production, or the candidate, answers better.
        p_value: chance of that many losses or more among `lost + gained` rows if both were equally good.
    """

    task: str
    answered: bool
    rows: int
    before: float
    after: float
    lost: int
    gained: int
    p_value: float
    passed: bool

    @classmethod
    def of(
        cls,
        task: str,
        before: Sequence[float],
        after: Sequence[float],
        tolerance: float,
        *,
        answered: bool = True,
    ) -> "Comparison":
        """From the credits, row by row."""
        pairs = list(zip(before, after, strict=True))
        lost, gained = sum(old > new for old, new in pairs), sum(old < new for old, new in pairs)
        fell = sum(before) - sum(after)
        chance = p_value(lost, gained)
        return cls(
            task=task,
            answered=answered,
            rows=len(pairs),
            before=sum(before) / len(pairs),
            after=sum(after) / len(pairs),
            lost=lost,
            gained=gained,
            p_value=chance,
            # Not from the shares, which are rarely numbers that a computer holds exactly, as counts are.
            passed=answered and not (100 * fell > tolerance * len(pairs) and chance < LEVEL),
        )

    @property
    def points(self) -> float:
        """By how many hundredths the mean credit fell."""
        # Ten digits, so that whole rows out of a hundred are whole points.
        return round(100 * (self.before - self.after), 10)

    def as_json(self) -> dict[str, Any]:
        """All that is known of it, `points` too."""
        return {**asdict(self), "points": self.points}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Comparison":
        """The comparison whose `as_json` gave `values`."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def __str__(self) -> str:
        if not self.answered:
            return f"{self.task} is left out ({self.rows} rows)"
        return f"{self.task} lost {self.points:.1f} points ({self.rows} rows, p {self.p_value:.2g})"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The verdict on one generation.

    Attributes:
        against: the generation that was in production; None when none was, and nothing could be lost.
        tasks: every task that production answers, but for retired ones that the candidate lacks; together:
            all their rows as if of one task, where many losses too small to be told from chance add up. None
            when nothing was compared.
        problem: why no comparison was possible; then nothing is promoted unasked.
    """

    passed: bool
    against: str | None
    tolerance: float
    level: float
    tasks: tuple[Comparison, ...] = ()
    together: Comparison | None = None
    problem: str | None = None

    @property
    def failed(self) -> list[Comparison]:
        """What was lost, the largest loss first."""
        lost = [one for one in self.tasks if not one.passed]
        if not lost and self.together is not None and not self.together.passed:
            return [self.together]
        return sorted(lost, key=lambda one: -one.points)

    def __str__(self) -> str:
        if self.problem is not None:
            return self.problem
        if self.against is None:
            return "nothing was in production to compare with"
        if self.passed:
            limit = "1 point" if self.tolerance == 1 else f"{self.tolerance:g} points"
            return f"no task is shown to lose more than {limit} against {self.against}"
        named = [str(one) for one in self.failed]
        more = [f"and {len(named) - SHOWN} more"] if len(named) > SHOWN else []
        return f"{', '.join(named[:SHOWN] + more)} against {self.against}"

    def as_json(self) -> dict[str, Any]:
        """As it is kept with the moves of the aliases; `failed` are the names of what was lost."""
        return {
            **asdict(self),
            "tasks": [one.as_json() for one in self.tasks],
            "together": None if self.together is None else self.together.as_json(),
            "failed": [one.task for one in self.failed],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Gate":
        """The verdict whose `as_json` gave `values`."""
        together = values["together"]
        compared: dict[str, Any] = {
            "tasks": tuple(Comparison.from_json(one) for one in values["tasks"]),
            "together": None if together is None else Comparison.from_json(together),
        }
        return cls(**{field.name: values[field.name] for field in fields(cls)} | compared)


def compare(candidate: RoutedPool, production: Generation | None, tolerance: float) -> Gate:
    """Ask both about every task that production answers; those that are retired, and that the candidate
    lacks for it, are no loss.

    The rows are those that the candidate's expert of the task was measured on, since they say what the task
    is today; for a task that the candidate lacks, those of production's expert.
    """
    if production is None:
        return Gate(passed=True, against=None, tolerance=tolerance, level=LEVEL)
    ours = {expert.task: expert for expert in candidate.experts}
    common = [task for task in (name.partition("@")[0] for name in production.experts) if task in ours]
    after = {task: candidate.credits(ours[task]) for task in common}
    try:
        before = _before(candidate.archive, production, ours)
    except RegistryError as error:
        problem = f"{production.name} cannot be run to compare with: {error}"
        return Gate(passed=False, against=production.name, tolerance=tolerance, level=LEVEL, problem=problem)
    lacking = {task: [0.0] * len(rows) for task, rows in before.items() if task not in ours}
    return judge(before, after | lacking, production.name, tolerance, left_out=lacking)


def judge(
    before: Mapping[str, Sequence[float]],
    after: Mapping[str, Sequence[float]],
    against: str,
    tolerance: float,
    *,
    left_out: Collection[str] = (),
) -> Gate:
    """From the credits of `against` and of the candidate for the rows of each task."""
    tasks = tuple(
        Comparison.of(task, own, after[task], tolerance, answered=task not in left_out)
        for task, own in before.items()
    )
    whole = [[credit for task in before for credit in rows[task]] for rows in (before, after)]
    together = Comparison.of("all tasks", whole[0], whole[1], tolerance) if tasks else None
    return Gate(
        passed=all(one.passed for one in (*tasks, together) if one is not None),
        against=against,
        tolerance=tolerance,
        level=LEVEL,
        tasks=tasks,
        together=together,
    )


def _before(archive: Archive, production: Generation, ours: Mapping[str, Expert]) -> dict[str, list[float]]:
    """By task, production's credits."""
    reference = frozen_pool(archive, production)
    retired = archive.registry.retirements.now()
    found = {}
    for done, theirs in enumerate(reference.experts, 1):
        if theirs.task not in ours and retired.of(theirs.name) is not None:
            continue
        found[theirs.task] = reference.credits(ours.get(theirs.task, theirs))
        archive.on_progress(f"comparing with {production.name}", done, len(reference.experts), "")
    return found


def p_value(lost: int, gained: int) -> float:
    """The chance of `lost` or more heads in `lost + gained` tosses of a coin, exactly.

    `sum_{k >= lost} C(n, k) / 2^n` with `n = lost + gained`.
    """
    tosses = lost + gained
    ways = term = math.comb(tosses, lost)
    for heads in range(lost, tosses):
        term = term * (tosses - heads) // (heads + 1)
        ways += term
    return ways / 2**tosses
