"""Tensors as bytes: the same each time, and nothing else is taken for them."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
import safetensors.numpy

from registry.canonical import canonical_json
from registry.errors import DamagedError, InvalidSettingError
from registry.tensors import check, pack, unpack

TENSORS = {
    "b": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
    "a": numpy.array([True, False]),
    "c": numpy.array(1.5, dtype=numpy.float64),
    "d": numpy.array([2**40], dtype=numpy.int64),
}
METADATA = {"task": "sst2", "labels": ["nö", "yes"], "modes": [4, 2], "alpha": 16.0}
GOOD = pack(TENSORS, METADATA)


def file_of(header: Any, data: bytes = b"\0" * 8, length: int | None = None) -> bytes:
    """A file in the format of safetensors with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


META = {"registry": "{}"}


def test_what_is_packed_comes_back() -> None:
    tensors, metadata = unpack(GOOD)
    assert metadata == METADATA
    assert sorted(tensors) == sorted(TENSORS)
    for name, tensor in TENSORS.items():
        assert (tensors[name].dtype, tensors[name].shape) == (tensor.dtype, tensor.shape)
        numpy.testing.assert_array_equal(tensors[name], tensor)
        assert tensors[name].flags.writeable


def test_the_bytes_are_the_same_in_every_process_and_order() -> None:
    code = (
        "import sys, tests.registry.test_tensors as t; backwards = lambda d: dict(reversed(d.items())); "
        "sys.stdout.buffer.write(t.pack(backwards(t.TENSORS), backwards(t.METADATA)))"
    )
    root = Path(__file__).parent.parent.parent
    for _ in range(3):
        assert (
            subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=root, check=True).stdout
            == GOOD
        )


def test_strides_and_byte_order_do_not_change_what_is_packed() -> None:
    plain = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
    turned = {
        "w": numpy.asfortranarray(plain),
        "v": plain.astype(">f4"),
        "u": numpy.repeat(plain, 2, 1)[:, ::2],
    }
    assert pack(turned, {}) == pack({"w": plain, "v": plain, "u": plain}, {})


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        ({}, {}),
        ({"w": numpy.array(["text"])}, {}),
        ({"w": numpy.array([1j])}, {}),
        ({"w": numpy.array([None], dtype=object)}, {}),
        ({"w": numpy.zeros(1)}, {"loss": float("nan")}),
        ({"w": numpy.zeros(1)}, {"model": object()}),
    ],
)
def test_what_could_not_be_read_back_is_not_packed(tensors: dict[str, Any], metadata: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingError):
        pack(tensors, metadata)


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps({"w": [1.0]}))
    return content.getvalue()


BAD = {
    "nothing": b"",
    "seven bytes": b"\0" * 7,
    "zeros": b"\0" * 64,
    "text": b"just some text, long enough to be a header",
    "pickle": pickle.dumps({"w": numpy.zeros(4)}),
    "torch zip": zipped(),
    "gguf": b"GGUF\x03\0\0\0" + b"\0" * 64,
    "json": b'{"a": 1}',
    "header of nothing": file_of({"__metadata__": META}, b""),
    "no metadata": safetensors.numpy.save({"w": numpy.zeros(2)}),
    "metadata of others": safetensors.numpy.save({"w": numpy.zeros(2)}, {"format": "pt"}),
    "two metadata": file_of({"__metadata__": {**META, "format": "pt"}, "w": entry()}),
    "metadata not an object": file_of({"__metadata__": {"registry": "[]"}, "w": entry()}),
    "metadata not json": file_of({"__metadata__": {"registry": "{"}, "w": entry()}),
    "metadata not a number": file_of({"__metadata__": {"registry": '{"a":NaN}'}, "w": entry()}),
    "metadata spelt otherwise": file_of({"__metadata__": {"registry": '{"a": 1}'}, "w": entry()}),
    "metadata twice": file_of({"__metadata__": {"registry": '{"a":1,"a":2}'}, "w": entry()}),
    "a key twice": file_of(
        b'{"__metadata__":{"registry":"{}"},"w":%s,"w":%s}' % ((json.dumps(entry()).encode(),) * 2)
    ),
    "a padded header": file_of(json.dumps({"__metadata__": META, "w": entry()}).encode() + b" " * 8),
    "a huge header": file_of(b'{"' + b"a" * (1 << 20) + b'":1}'),
    "a header longer than the file": file_of({"w": entry()}, length=1 << 19),
    "a header of half the universe": file_of({"w": entry()}, length=(1 << 63) + 1),
    "a deep header": file_of(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "not utf-8": file_of(b'{"\xff\xfe":1}'),
    "an array": file_of([1, 2]),
    "no dtype": file_of({"__metadata__": META, "w": {"shape": [2], "data_offsets": [0, 8]}}),
    "bfloat16": file_of({"__metadata__": META, "w": entry(dtype="BF16", shape=[4])}),
    "dtype not a name": file_of({"__metadata__": META, "w": entry(dtype=["F32"])}),
    "a tensor of text": file_of({"__metadata__": META, "w": "F32"}),
    "a shape too large": file_of({"__metadata__": META, "w": entry(shape=[1 << 62, 4])}),
    "a negative shape": file_of({"__metadata__": META, "w": entry(shape=[-2])}),
    "offsets outside": file_of({"__metadata__": META, "w": entry(data_offsets=[8, 16])}),
    "offsets that overlap": file_of({"__metadata__": META, "w": entry(), "v": entry()}),
    "bytes left over": file_of({"__metadata__": META, "w": entry()}, b"\0" * 9),
    "a number of many digits": file_of(b'{"a":' + b"9" * 5_000 + b"}"),
}


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_damaged_in_one_line(name: str) -> None:
    with pytest.raises(DamagedError) as caught:
        unpack(BAD[name])
    assert "\n" not in str(caught.value)


def test_every_flipped_byte_of_the_header_is_refused_or_harmless() -> None:
    """Without the digest, which catches all of them: no other error, and never other tensors in silence."""
    header = 8 + int.from_bytes(GOOD[:8], "little")
    for place in range(header):
        broken = bytearray(GOOD)
        broken[place] ^= 0x01
        try:
            tensors, _ = unpack(bytes(broken))
        except DamagedError:
            continue
        with_names = {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
        assert len(with_names) == len(TENSORS)


@pytest.mark.parametrize("size", range(0, len(GOOD), 7))
def test_a_file_cut_short_is_damaged(size: int) -> None:
    with pytest.raises(DamagedError):
        unpack(GOOD[:size])


EXPECTED = {
    "b": ("float32", (2, 3)),
    "a": ("bool", (2,)),
    "c": ("float64", ()),
    "d": ("int64", (1,)),
}


def test_the_expected_tensors_pass() -> None:
    check(TENSORS, EXPECTED, "sst2@3")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": None}, "sst2@3 has the wrong tensors: missing ['b'], unknown []."),
        ({"../../etc/passwd": numpy.zeros(1)}, "unknown ['../../etc/passwd']"),
        ({"b": numpy.zeros((3, 2), numpy.float32)}, "b is float32 [3, 2], expected float32 [2, 3]."),
        ({"b": numpy.zeros((2, 3))}, "b is float64 [2, 3], expected float32 [2, 3]."),
        ({"c": numpy.array(numpy.nan)}, "sst2@3 has a wrong tensor: c holds NaN or infinity."),
        ({"c": numpy.array(-numpy.inf)}, "c holds NaN or infinity"),
    ],
)
def test_other_names_shapes_dtypes_and_nan_do_not(changes: dict[str, Any], message: str) -> None:
    changed = {name: value for name, value in {**TENSORS, **changes}.items() if value is not None}
    with pytest.raises(DamagedError) as caught:
        check(changed, EXPECTED, "sst2@3")
    assert message in str(caught.value)


def test_canonical_json_is_one_text_per_value() -> None:
    value = {"b": [1, 2.5, None, True], "a": {"é": "\udcff"}}
    assert canonical_json(value) == '{"a":{"\\u00e9":"\\udcff"},"b":[1,2.5,null,true]}'
    endless: list[Any] = []
    endless.append(endless)
    for unfit in (float("nan"), float("inf"), {1, 2}, {(1, 2): 3}, endless):
        with pytest.raises(InvalidSettingError, match="Not storable as JSON"):
            canonical_json(unfit)
