"""Who may log in: what is kept of secrets, and what ends a session."""

import re
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from registry import ConflictError, NotFoundError, Registry, passwords, users
from registry.database import FILE
from registry.errors import InvalidSettingError
from registry.sqlite import driver

PASSWORD = "correct horse"


@pytest.fixture
def ada(registry: Registry) -> Registry:
    registry.users.add("ada", PASSWORD)
    return registry


def everything_stored(registry: Registry) -> str:
    with closing(driver.connect(registry.home / FILE)) as connection:
        return "\n".join(connection.iterdump())


def test_a_new_registry_has_no_users(registry: Registry) -> None:
    assert not registry.users.any()
    assert registry.users.list() == []
    assert registry.users.tokens() == ()
    assert registry.users.log_in("ada", PASSWORD) is None


def test_a_user_logs_in_with_the_password_and_with_no_other(ada: Registry) -> None:
    assert ada.users.any()
    assert [user.name for user in ada.users.list()] == ["ada"]
    session = ada.users.log_in("ada", PASSWORD)
    assert session is not None
    assert ada.users.of_session(session) == "ada"
    for wrong in ("", "Correct horse", "correct horse ", "correct", "x" * 10_000):
        assert ada.users.log_in("ada", wrong) is None
    assert ada.users.log_in("eve", PASSWORD) is None
    assert ada.users.of_session("") is None
    assert ada.users.of_session(session[:-1]) is None


def test_a_password_is_the_same_however_its_letters_are_composed(registry: Registry) -> None:
    registry.users.add("ada", "cafe\u0301 noir")
    assert registry.users.log_in("ada", "café noir") is not None


def test_nothing_that_is_stored_lets_anybody_in(ada: Registry) -> None:
    session, token = ada.users.log_in("ada", PASSWORD), ada.users.add_token("ada", "laptop")
    stored = everything_stored(ada)
    assert session is not None
    for secret in (PASSWORD, session, token):
        assert secret not in stored
    for found in set(re.findall(r"[0-9a-f]{64}", stored)):
        assert ada.users.of_session(found) is None
        assert ada.users.of_token(found) is None


def test_the_same_password_is_stored_differently_each_time() -> None:
    assert passwords.protect(PASSWORD) != passwords.protect(PASSWORD)


def test_a_name_that_is_nobodys_takes_as_long_as_a_wrong_password(ada: Registry) -> None:
    def seconds(name: str) -> float:
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            assert ada.users.log_in(name, "not the password") is None
            times.append(time.perf_counter() - begun)
        return min(times)

    known, unknown = seconds("ada"), seconds("nobody")
    assert max(known, unknown) < 2 * min(known, unknown)


@pytest.mark.parametrize("name", ["", "Ada", "a b", "-ada", "a" * 65, "ada\n", "äda", "../ada", "a@b"])
def test_a_name_that_cannot_be_taken_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidSettingError, match="cannot be named"):
        registry.users.add(name, PASSWORD)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025])
def test_a_password_that_is_too_short_or_too_long_is_refused(registry: Registry, password: str) -> None:
    with pytest.raises(InvalidSettingError, match=r"Use 8 to 1024\.$"):
        registry.users.add("ada", password)
    assert not registry.users.any()


def test_a_name_is_taken_once(ada: Registry) -> None:
    with pytest.raises(ConflictError, match="There is a user 'ada' already"):
        ada.users.add("ada", "another password")
    assert ada.users.log_in("ada", PASSWORD) is not None


def test_logging_out_ends_one_session(ada: Registry) -> None:
    here, there = ada.users.log_in("ada", PASSWORD), ada.users.log_in("ada", PASSWORD)
    assert here is not None
    assert there is not None
    ada.users.log_out(here)
    assert ada.users.of_session(here) is None
    assert ada.users.of_session(there) == "ada"


def test_a_new_password_ends_all_sessions_and_leaves_the_tokens(ada: Registry) -> None:
    session, token = ada.users.log_in("ada", PASSWORD), ada.users.add_token("ada", "laptop")
    ada.users.change("ada", "another password")
    assert session is not None
    assert ada.users.of_session(session) is None
    assert ada.users.of_token(token) == "ada"
    assert ada.users.log_in("ada", PASSWORD) is None
    assert ada.users.log_in("ada", "another password") is not None


def test_a_user_who_is_removed_is_known_by_nothing_any_more(ada: Registry) -> None:
    session, token = ada.users.log_in("ada", PASSWORD), ada.users.add_token("ada", "laptop")
    ada.users.remove("ada")
    assert session is not None
    assert ada.users.of_session(session) is None
    assert ada.users.of_token(token) is None
    assert not ada.users.any()


def test_a_session_ends_after_a_week(ada: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "SESSION", 0.05)
    session = ada.users.log_in("ada", PASSWORD)
    assert session is not None
    time.sleep(0.1)
    assert ada.users.of_session(session) is None
    ada.users.log_in("ada", PASSWORD)
    assert everything_stored(ada).count('INSERT INTO "sessions"') == 1


def test_tokens_are_told_apart_by_their_names(ada: Registry) -> None:
    laptop, server = (ada.users.add_token("ada", name) for name in ("laptop", "server"))
    assert [(token.user, token.name) for token in ada.users.tokens()] == [
        ("ada", "laptop"),
        ("ada", "server"),
    ]
    with pytest.raises(ConflictError, match="ada has a token 'laptop' already"):
        ada.users.add_token("ada", "laptop")
    ada.users.remove_token("ada", "laptop")
    assert ada.users.of_token(laptop) is None
    assert ada.users.of_token(server) == "ada"
    assert ada.users.of_session(server) is None


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda all_of: all_of.remove("adda"), "There is no user 'adda'. Did you mean 'ada'?"),
        (lambda all_of: all_of.change("eve", PASSWORD), "There is no user 'eve'."),
        (lambda all_of: all_of.add_token("eve", "laptop"), "There is no user 'eve'."),
        (lambda all_of: all_of.remove_token("ada", "laptop"), "There is no token of ada 'laptop'."),
    ],
    ids=["remove", "change", "add token", "remove token"],
)
def test_unknown_names_are_told(ada: Registry, ask: Callable[[users.Users], None], message: str) -> None:
    with pytest.raises(NotFoundError, match=re.escape(message)):
        ask(ada.users)
