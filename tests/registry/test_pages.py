"""Long lists in pages: put together, the pages are the whole list."""

import pytest

from registry import Registry
from registry.errors import NotFoundError


@pytest.mark.parametrize("all_versions", [False, True])
def test_pages_of_experts_make_up_the_whole_list(filled: Registry, all_versions: bool) -> None:
    whole = filled.experts(all_versions=all_versions)
    found, after = [], None
    while page := filled.experts(all_versions=all_versions, limit=1, after=after):
        found += page
        after = page[-1].name
    assert found == whole
    assert filled.experts("sst2", all_versions=True, after="sst2@1") == [filled.expert("sst2@2")]


def test_pages_of_generations_make_up_the_whole_list(filled: Registry) -> None:
    first, second = filled.generations()
    assert filled.generations(limit=1) == [first]
    assert filled.generations(limit=5, after="router@1") == [second]
    assert filled.generations(after="router") == []
    assert [first.experts, second.experts] == [("sst2@1",), ("sst2@2", "trec@1")]


def test_a_page_after_what_there_is_not_is_refused(filled: Registry) -> None:
    with pytest.raises(NotFoundError, match="There is no expert 'sst2@9': sst2 has versions 1 to 2"):
        filled.experts(after="sst2@9")
    with pytest.raises(NotFoundError, match="router has generations 1 to 2"):
        filled.generations(after="router@9")


def test_the_newest_moves_of_an_alias_are_the_head_of_its_history(filled: Registry) -> None:
    filled.promote("router@1", reason="back")
    whole = filled.history()
    assert [event.target for event in whole] == ["router@1", "router@2"]
    assert filled.history(limit=1) == whole[:1]
