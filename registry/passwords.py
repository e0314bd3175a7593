"""Passwords and other secrets: what is stored of them, and how they are compared."""

import hashlib
import hmac
import os
import secrets
import unicodedata

from registry.errors import InvalidSettingError

SHORTEST, LONGEST = 8, 1024

_WORK, _BLOCK, _LANES = 14, 8, 5  # scrypt's N = 2^14: 16 MiB and a tenth of a second or two each
_MEMORY = 64 << 20


def protect(password: str) -> str:
    """What is stored of a password: parameters, salt and scrypt's answer.

    Raises:
        InvalidSettingError: It is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidSettingError(
            f"A password of {len(password)} characters cannot be taken. Use {SHORTEST} to {LONGEST}."
        )
    salt = os.urandom(16)
    return "$".join(
        ["scrypt", str(_WORK), str(_BLOCK), str(_LANES), salt.hex(), _derived(password, salt).hex()]
    )


def matches(password: str, stored: str | None) -> bool:
    """Whether a password is the one that was protected; takes as long where nothing is stored."""
    if stored is None:
        _derived(password, bytes(16))
        return False
    _, work, block, lanes, salt, derived = stored.split("$")
    found = _derived(password, bytes.fromhex(salt), int(work), int(block), int(lanes))
    return hmac.compare_digest(found, bytes.fromhex(derived))


def _derived(
    password: str, salt: bytes, work: int = _WORK, block: int = _BLOCK, lanes: int = _LANES
) -> bytes:
    # The same letters typed on another keyboard may arrive composed in another way.
    typed = unicodedata.normalize("NFKC", password[: LONGEST + 1]).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(typed, salt=salt, n=1 << work, r=block, p=lanes, maxmem=_MEMORY, dklen=32)


def new_secret() -> str:
    """A secret that nobody can guess, for a cookie or a header."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is stored of a secret; being random, it needs no salt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
