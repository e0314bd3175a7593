"""How a refused file is put into words: one line, the file, the line number, the reason."""

from registry.errors import DataRefusedError


def refusal(source: str, line: int | None, reason: str) -> DataRefusedError:
    """The error for a file that is not taken, e.g. ``reviews.csv, line 3: 3 cells where ...``."""
    place = printable(source) if line is None else f"{printable(source)}, {numbered(source, line)}"
    return DataRefusedError(f"{place}: {reason}")


def numbered(source: str, line: int) -> str:
    """A place in a file, e.g. ``line 3``."""
    return f"{counted_in(source)} {line}"


def counted_in(source: str) -> str:
    """What the places in a file are counted in: Parquet and datasets have rows, but no lines."""
    return "row" if source.lower().endswith((".parquet", ".arrow")) else "line"


def quoted(text: str, limit: int = 40) -> str:
    """The text between quotes, shortened, and with everything that does not print escaped."""
    short = text if len(text) <= limit else text[: limit - 3] + "..."
    return f"'{printable(short)}'"


def listed(names: list[str] | tuple[str, ...], limit: int = 12) -> str:
    """The names quoted and separated by commas, at most `limit` of them."""
    shown = ", ".join(quoted(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"


def printable(text: str) -> str:
    """The text with line breaks, control, zero-width and bidirectional characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
