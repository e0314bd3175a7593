"""What a person may ask of a fit, told apart from what computes it: a wrong number is refused at once."""

from registry.errors import InvalidSettingError
from trainer import kinds

AUTO = "auto"
"""In place of a router kind: those are fitted that say so, and validation picks."""

PASSES = ("one", "two")
"""Of the base model, for each text that is asked: see `trainer.generations.RouterDesign`."""

COVERAGE = 0.98
"""Share of the rows of known tasks that are answered unless a person sets it: one in fifty is refused."""

TOLERANCE = 1.0
"""Points (hundredths) of its mean credit, or accuracy, that a task may lose."""


def check_fit(
    *,
    router: str = AUTO,
    passes: str = "one",
    coverage: float = COVERAGE,
    tolerance: float = TOLERANCE,
    **_: object,
) -> None:
    """Refuse what of a fit can be refused before any row is read and any kind loaded.

    Raises:
        NotFoundError: no router kind of that name.
        InvalidSettingError: a gate kind; passes, coverage or tolerance out of their ranges.
    """
    if router != AUTO:
        if router in kinds.names("gates"):
            raise InvalidSettingError(
                f"{router} is not fitted but trained: registry train-mixture --data FILE --experts A B"
            )
        kinds.check("routers", router)
    if passes not in PASSES:
        raise InvalidSettingError(f"passes {passes!r} is unknown: choose {' or '.join(PASSES)}")
    if not 0 < coverage <= 1:
        raise InvalidSettingError(
            f"coverage {coverage:g} must be above 0 and at most 1: the share of known rows to be answered"
        )
    if not 0 <= tolerance <= 100:
        raise InvalidSettingError(f"tolerance {tolerance:g} must be from 0 to 100 points of accuracy")
