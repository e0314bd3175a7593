"""What a person may ask of a fit, told apart from what computes it: a wrong number is refused at once."""

from registry.errors import InvalidSettingError

AUTO = "auto"
"""In place of a router kind: all are fitted, and validation picks."""

COVERAGE = 0.98
"""Share of the rows of known tasks that are answered unless a person sets it: one in fifty is refused."""

TOLERANCE = 1.0
"""Points (hundredths) of its mean credit, or accuracy, that a task may lose."""


def check_coverage(coverage: float) -> None:
    """Refuse what is no share of rows.

    Raises:
        InvalidSettingError: it is not above 0 and at most 1.
    """
    if not 0 < coverage <= 1:
        raise InvalidSettingError(
            f"coverage {coverage:g} must be above 0 and at most 1: the share of known rows to be answered"
        )


def check_tolerance(tolerance: float) -> None:
    """Refuse what is no number of points.

    Raises:
        InvalidSettingError: it is below 0, above 100, or no number.
    """
    if not 0 <= tolerance <= 100:
        raise InvalidSettingError(f"tolerance {tolerance:g} must be from 0 to 100 points of accuracy")
