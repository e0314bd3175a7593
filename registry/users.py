"""`Registry.users`: who may log in to a server, with which sessions and tokens.

Of passwords, sessions and tokens only digests are stored: who reads the database can log in as nobody.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, update

from registry import logins, passwords
from registry.columns import NOW
from registry.database import Database
from registry.errors import ConflictError, InvalidSettingError, not_found

SESSION = 7 * 24 * 3600.0
"""Seconds after which somebody who has logged in has to do so again."""

_users, _sessions, _tokens = logins.users, logins.sessions, logins.tokens
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """Somebody who may log in."""

    name: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """What a program of somebody's is known by; the secret itself is shown once and not kept."""

    user: str
    name: str
    created_at: datetime


class Users:
    """The users of one home. Names: 1 to 64 lowercase letters, digits, `.`, `-` and `_`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def any(self) -> bool:
        """Whether there is any user; without one a server asks nobody to log in."""
        return (
            self._database.read(lambda connection: connection.scalar(select(_users.c.name).limit(1)))
            is not None
        )

    def list(self) -> list[User]:
        """All users by name."""
        return self._database.read(_every)

    def add(self, name: str, password: str) -> User:
        """Lets somebody log in.

        Raises:
            InvalidSettingError: The name or the password cannot be taken.
            ConflictError: There is a user of that name.
        """
        if not _NAME.fullmatch(name):
            raise InvalidSettingError(
                f"A user cannot be named {name!r}. Use 1 to 64 lowercase letters, digits, '.', '-' and '_', "
                "starting with a letter or a digit."
            )
        return self._database.write(_add, name, passwords.protect(password))

    def change(self, name: str, password: str) -> None:
        """Gives somebody another password, and ends all sessions with the old one.

        Raises:
            NotFoundError: There is no such user.
            InvalidSettingError: The password cannot be taken.
        """
        self._database.write(_change, name, passwords.protect(password))

    def remove(self, name: str) -> None:
        """Lets somebody log in no more, and ends all sessions and tokens.

        Raises:
            NotFoundError: There is no such user.
        """
        self._database.write(_remove, name)

    def log_in(self, name: str, password: str) -> str | None:
        """The secret of a new session, or None: it takes equally long whether there is such a user or not."""
        stored = self._database.read(_password, name)
        if not passwords.matches(password, stored):
            return None
        secret = passwords.new_secret()
        opened = self._database.write(_open, name, stored, passwords.digest(secret))
        return secret if opened else None

    def log_out(self, secret: str) -> None:
        """Ends a session."""
        self._database.write(_close, passwords.digest(secret))

    def of_session(self, secret: str) -> str | None:
        """Whose session it is, while it lasts."""
        return self._database.read(_of_session, passwords.digest(secret))

    def tokens(self) -> tuple[Token, ...]:
        """All tokens by user and name."""
        return self._database.read(_every_token)

    def add_token(self, user: str, name: str) -> str:
        """The secret of a new token; it is not kept, so this is the one time to see it.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: There is a token of that name.
        """
        secret = passwords.new_secret()
        self._database.write(_add_token, user, name, passwords.digest(secret))
        return secret

    def remove_token(self, user: str, name: str) -> None:
        """A program is known by this token no more.

        Raises:
            NotFoundError: There is no such token.
        """
        self._database.write(_remove_token, user, name)

    def of_token(self, secret: str) -> str | None:
        """Whose token it is."""
        return self._database.read(_of_token, passwords.digest(secret))


def _every(connection: Connection) -> list[User]:
    found = connection.execute(select(_users.c.name, _users.c.created_at).order_by(_users.c.name))
    return [User(**row._mapping) for row in found]


def _known(connection: Connection, name: str) -> str:
    names = list(connection.scalars(select(_users.c.name)))
    if name not in names:
        raise not_found("user", name, names, otherwise="`registry user list` lists them.")
    return name


def _add(connection: Connection, name: str, password: str) -> User:
    if connection.scalar(select(_users.c.name).where(_users.c.name == name)) is not None:
        raise ConflictError(
            f"There is a user {name!r} already. Change the password: registry user password {name}"
        )
    user = User(name=name, created_at=datetime.now(UTC))
    connection.execute(insert(_users).values(name=name, password=password, created_at=user.created_at))
    return user


def _change(connection: Connection, name: str, password: str) -> None:
    connection.execute(
        update(_users).where(_users.c.name == _known(connection, name)).values(password=password)
    )
    connection.execute(delete(_sessions).where(_sessions.c.user == name))


def _remove(connection: Connection, name: str) -> None:
    _known(connection, name)
    for table, column in ((_sessions, _sessions.c.user), (_tokens, _tokens.c.user), (_users, _users.c.name)):
        connection.execute(delete(table).where(column == name))


def _password(connection: Connection, name: str) -> str | None:
    found: str | None = connection.scalar(select(_users.c.password).where(_users.c.name == name))
    return found


def _open(connection: Connection, name: str, password: str | None, sha256: str) -> bool:
    """Makes a session, unless the password was changed meanwhile; those that have ended go."""
    connection.execute(delete(_sessions).where(_sessions.c.expires_at < NOW))
    if _password(connection, name) != password:
        return False
    made = insert(_sessions).values(
        sha256=sha256, user=name, expires_at=NOW + SESSION, created_at=datetime.now(UTC)
    )
    connection.execute(made)
    return True


def _close(connection: Connection, sha256: str) -> None:
    connection.execute(delete(_sessions).where(_sessions.c.sha256 == sha256))


def _of_session(connection: Connection, sha256: str) -> str | None:
    alive = select(_sessions.c.user).where(_sessions.c.sha256 == sha256, _sessions.c.expires_at > NOW)
    found: str | None = connection.scalar(alive)
    return found


def _every_token(connection: Connection) -> tuple[Token, ...]:
    wanted = select(_tokens.c.user, _tokens.c.name, _tokens.c.created_at)
    found = connection.execute(wanted.order_by(_tokens.c.user, _tokens.c.name))
    return tuple(Token(**row._mapping) for row in found)


def _add_token(connection: Connection, user: str, name: str, sha256: str) -> None:
    _known(connection, user)
    if _token(connection, user, name) is not None:
        raise ConflictError(f"{user} has a token {name!r} already. Remove it first, or choose another name.")
    made = insert(_tokens).values(sha256=sha256, user=user, name=name, created_at=datetime.now(UTC))
    connection.execute(made)


def _remove_token(connection: Connection, user: str, name: str) -> None:
    sha256 = _token(connection, user, name)
    if sha256 is None:
        names = list(connection.scalars(select(_tokens.c.name).where(_tokens.c.user == user)))
        raise not_found(f"token of {user}", name, names, otherwise="`registry token list` lists them.")
    connection.execute(delete(_tokens).where(_tokens.c.sha256 == sha256))


def _token(connection: Connection, user: str, name: str) -> str | None:
    wanted = select(_tokens.c.sha256).where(_tokens.c.user == user, _tokens.c.name == name)
    found: str | None = connection.scalar(wanted)
    return found


def _of_token(connection: Connection, sha256: str) -> str | None:
    found: str | None = connection.scalar(select(_tokens.c.user).where(_tokens.c.sha256 == sha256))
    return found
