"""Bytes that nobody thought of, by atheris: `python -m tests.stress.fuzzing TARGET CORPUS SECONDS`.

A target takes any bytes. What it raises other than the refusal it allows is a defect, and ends the run with a
code other than 0; so do more than 512 MB of memory, and 20 s for one input. The corpus grows in its folder.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["registry", "trainer"]):
    from registry.canonical import canonical_json
    from registry.columns import Json
    from registry.errors import DamagedError, DataRefusedError, InvalidSettingError
    from registry.tensors import pack, unpack
    from tests.registry.samples import payload
    from tests.trainer.data.properties import as_it_stands, reading, refused_with_its_line, written
    from trainer.described import from_json, to_json
    from trainer.settings import TrainingSettings

MEMORY = 512
# Bytes alone seldom spell JSON: after a 0, each byte stands for one of these.
JSON = (
    *'{}[]:,"\\ \0',
    "null",
    "true",
    "NaN",
    "Infinity",
    "-0",
    "1e999",
    "1.5",
    "0",
    "8",
    "2",
    '"é"',
    '"\\ud800"',
)
HEADER_TEXT = '{"__metadata__":{"registry":"{}"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
CONFIG = (
    *JSON,
    '"epochs":',
    '"batch_size":',
    '"learning_rate":',
    '"head_learning_rate":',
    '"seed":',
    "[" * 2_000,
)
HEADER = (
    *JSON,
    *(
        '{"__metadata__":{"registry":"{}"}',
        '{"__metadata__":{"registry":"',
        "}}",
        '"__metadata__":',
        "[" * 2_000,
    ),
    *(
        ',"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}',
        ',"b":{"dtype":"U8","shape":[],"data_offsets":',
    ),
    *(
        '"dtype":',
        '"shape":',
        '"data_offsets":',
        '"F64"',
        '"BF16"',
        '"BOOL"',
        "[0,8]",
        "[8,9]",
        "[2,2]",
        '"a":',
        '"b":',
    ),
)
SCRATCH = Path(tempfile.mkdtemp())
SETTINGS = TrainingSettings(epochs=3, batch_size=32, learning_rate=0.001, head_learning_rate=0.002)


def csv(content: bytes) -> None:
    """The reader takes a file as the plain rules of CSV have it, or refuses it in one line."""
    try:
        table = reading(SCRATCH, content)
    except DataRefusedError as error:
        whole = content[:16].hex()
        assert refused_with_its_line(error, SCRATCH) or "unpack it" in str(error), f"{error} ({whole})"
        return
    assert {len(cells) for cells in table.rows} == {len(table.columns)}
    if not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        assert table.rows == as_it_stands(content.removeprefix(b"\xef\xbb\xbf").decode(), table)


def tensors(content: bytes) -> None:
    """What is taken for tensors can be packed again, and is then the same."""
    try:
        found, metadata = unpack(content if content[:1] != b"\0" else file_of(content[1:]))
    except DamagedError:
        return
    again, same = unpack(pack(found, metadata))
    assert same == metadata
    assert {name: (value.dtype, value.shape, value.tobytes()) for name, value in again.items()} == {
        name: (value.dtype, value.shape, value.tobytes()) for name, value in found.items()
    }


def config(content: bytes) -> None:
    """A stored configuration is read, has one spelling, and is a description or damage."""
    text = content.decode("utf-8", "replace") if content[:1] != b"\0" else spelt(content[1:], CONFIG)
    try:
        value = Json().process_result_value(text, None)  # type: ignore[arg-type]
        spelling = canonical_json(value)
    except (DamagedError, InvalidSettingError):
        return
    assert canonical_json(json.loads(spelling)) == spelling
    try:
        settings = from_json(TrainingSettings, value)
    except DamagedError:
        return
    assert canonical_json(to_json(settings)) is not None


def spelt(content: bytes, tokens: tuple[str, ...]) -> str:
    """The text that the bytes stand for."""
    return "".join(tokens[byte % len(tokens)] for byte in content)


def file_of(content: bytes) -> bytes:
    """A file with the header that the bytes stand for, up to a 255; the rest are its numbers."""
    header, _, numbers = content.partition(b"\xff")
    text = spelt(header, HEADER).encode("utf-8", "replace")
    return len(text).to_bytes(8, "little") + text + numbers


def tokens_of(text: str, tokens: tuple[str, ...]) -> bytes:
    """Bytes that `spelt` spells as the text, taking the longest token each time."""
    found = b"\0"
    while text:
        token = max((token for token in tokens if text.startswith(token)), key=len)
        found, text = found + bytes([tokens.index(token)]), text[len(token) :]
    return found


TARGETS: dict[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]] = {
    "csv": (
        csv,
        (
            written([("a text", "yes"), ('a "b", c', "no")]).encode(),
            written([("a\nb", "1"), ("", "2")], "\t", "\n").encode("utf-8-sig"),
            written([("é", "x")], ";").encode("utf-16"),
        ),
    ),
    "tensors": (
        tensors,
        (
            payload(),
            payload(3, size=0),
            tokens_of(HEADER_TEXT, HEADER) + b"\xff" + bytes(range(8)),
        ),
    ),
    "config": (
        config,
        (
            canonical_json(to_json(SETTINGS)).encode(),
            b'[1.5e3,"\\ud800",{"a":null}]',
            tokens_of('{"epochs":8,"batch_size":2,"learning_rate":1.5,"head_learning_rate":0}', CONFIG),
        ),
    ),
}
"""What is fuzzed, and what to begin with."""


def main() -> None:
    """Fuzzes one target for so many seconds."""
    name, corpus, seconds = sys.argv[1:]
    target, seeds = TARGETS[name]
    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    options = (
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEMORY}",
        "-timeout=20",
        "-print_final_stats=1",
        f"-artifact_prefix={folder.parent / name}-",
    )
    atheris.Setup([sys.argv[0], *options, str(folder)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
