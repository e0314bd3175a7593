"""`registry user` and `registry token`."""

from pathlib import Path

import pytest

from registry import Registry
from tests.ui.commands import TIME, Command, run

PASSWORD = "correct horse"


@pytest.fixture
def ada(tmp_path: Path) -> Path:
    home = tmp_path / "new"
    found = run(home, "user", "add", "ada", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert (found.code, found.out, found.err) == (0, "ada can log in.\n", "")
    return home


def test_a_user_is_added_with_the_password_that_was_given(ada: Path) -> None:
    with Registry(ada) as registry:
        assert registry.users.log_in("ada", PASSWORD) is not None
    [found] = run(ada, "user", "list", "--json").json
    assert found.keys() == {"user", "created_at"}
    assert found["user"] == "ada"
    assert TIME.fullmatch(found["created_at"])
    assert run(ada, "user", "list").out.splitlines()[-1].startswith("ada ")


def test_the_password_is_asked_for_twice_and_not_shown(empty_command: Command) -> None:
    found = empty_command("user", "add", "ada", "--json", stdin=f"{PASSWORD}\n{PASSWORD}\n")
    assert found.json == {"user": "ada"}
    assert PASSWORD not in found.out + found.err
    different = empty_command("user", "add", "bob", stdin=f"{PASSWORD}\nanother horse\n")
    assert different.code != 0
    assert [one["user"] for one in empty_command("user", "list", "--json").json] == ["ada"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (("user", "add", "ada", "--password-stdin"), PASSWORD, 4, "There is a user 'ada' already."),
        (("user", "add", "Ada", "--password-stdin"), PASSWORD, 2, "A user cannot be named 'Ada'."),
        (
            ("user", "add", "bob", "--password-stdin"),
            "short",
            2,
            "A password of 5 characters cannot be taken.",
        ),
        (("user", "add", "bob", "--password-stdin"), "", 2, "A password of 0 characters cannot be taken."),
        (("user", "password", "adda", "--password-stdin"), PASSWORD, 3, "Did you mean 'ada'?"),
        (("user", "remove", "bob"), None, 3, "There is no user 'bob'."),
        (("token", "add", "bob", "laptop"), None, 3, "There is no user 'bob'."),
        (("token", "remove", "ada", "laptop"), None, 3, "There is no token of ada 'laptop'."),
    ],
    ids=[
        "taken",
        "bad name",
        "short",
        "no password",
        "misspelled",
        "unknown",
        "no such user",
        "no such token",
    ],
)
def test_what_cannot_be_done_is_one_line(
    ada: Path, arguments: tuple[str, ...], stdin: str | None, code: int, message: str
) -> None:
    found = run(ada, *arguments, stdin=stdin)
    assert (found.code, found.out) == (code, "")
    assert message in found.err
    assert found.err.count("\n") == 1


def test_a_password_is_changed(ada: Path) -> None:
    found = run(ada, "user", "password", "ada", "--password-stdin", stdin="another horse\n")
    assert found.out == "ada has a new password.\n"
    with Registry(ada) as registry:
        assert registry.users.log_in("ada", PASSWORD) is None
        assert registry.users.log_in("ada", "another horse") is not None


def test_a_token_is_shown_once(ada: Path) -> None:
    secret = run(ada, "token", "add", "ada", "laptop").out.strip()
    other = run(ada, "token", "add", "ada", "server", "--json").json
    assert other.keys() == {"user", "token", "secret"}
    with Registry(ada) as registry:
        assert [registry.users.of_token(one) for one in (secret, other["secret"])] == ["ada", "ada"]
    listed = run(ada, "token", "list", "--json")
    assert [(one["user"], one["token"]) for one in listed.json] == [("ada", "laptop"), ("ada", "server")]
    assert listed.json[0].keys() == {"user", "token", "created_at"}
    assert secret not in listed.out + run(ada, "token", "list").out
    removed = run(ada, "token", "remove", "ada", "laptop")
    assert removed.out == "The token laptop of ada is worth nothing any more.\n"
    with Registry(ada) as registry:
        assert registry.users.of_token(secret) is None


def test_who_is_removed_is_gone(ada: Path) -> None:
    run(ada, "token", "add", "ada", "laptop")
    assert run(ada, "user", "remove", "ada").out == "ada cannot log in any more.\n"
    assert run(ada, "user", "list", "--json").json == []
    assert run(ada, "token", "list", "--json").json == []


def test_empty_lists_say_what_to_do(empty_command: Command) -> None:
    assert "registry user add NAME" in empty_command("user", "list").out
    assert "registry token add USER NAME" in empty_command("token", "list").out
