"""Loaded tiny base models, shared by all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trainer import sources
from trainer.base_model import BaseModel


@pytest.fixture(scope="session", autouse=True)
def caches_stay_in_the_session(session_cache: Path) -> Iterator[None]:
    """Also for what is made once, before any single test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_CACHE", str(session_cache))
        yield


@pytest.fixture(scope="session")
def llama(tiny_llama_folder: Path, session_cache: Path) -> BaseModel:
    return BaseModel(sources.resolve(str(tiny_llama_folder), cache=session_cache), "cpu")


@pytest.fixture(scope="session")
def bert(tiny_bert_folder: Path, session_cache: Path) -> BaseModel:
    return BaseModel(sources.resolve(str(tiny_bert_folder), cache=session_cache), "cpu")


@pytest.fixture(params=["llama", "bert"])
def base(request: pytest.FixtureRequest) -> BaseModel:
    """Each of the two: a decoder and an encoder."""
    model: BaseModel = request.getfixturevalue(request.param)
    return model
