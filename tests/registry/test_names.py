"""The names that people type."""

import pytest

from registry.errors import NotFoundError, nearest
from registry.names import Reference, parse


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("sst2", Reference("sst2")),
        ("sst2@3", Reference("sst2", version=3)),
        ("sst2@stable", Reference("sst2", alias="stable")),
        ("router@12", Reference("router", version=12)),
        ("router@production", Reference("router", alias="production")),
        ("router", Reference("router")),
    ],
)
def test_a_name_says_subject_and_version_or_alias(text: str, reference: Reference) -> None:
    assert parse(text) == reference
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    ["", "@", "sst2@", "@3", "sst2@0", "sst2@03", "sst2@-1", "a@b@c", "sst2@9999999999999999999", "a@ü"],
)
def test_what_names_nothing_is_not_found(text: str) -> None:
    with pytest.raises(NotFoundError, match="names nothing"):
        parse(text)


def test_the_nearest_name_is_suggested_and_nothing_when_none_is_near() -> None:
    assert nearest("SST-2", ["trec", "sst2"]) == " Did you mean 'sst2'?"
    assert nearest("weather", ["trec", "sst2"]) == ""
    assert nearest("x", []) == ""
