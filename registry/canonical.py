"""One spelling for each value: the JSON and the digests that names and manifests are made of."""

import hashlib
import json
from typing import Any

from registry.errors import InvalidSettingError

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> str:
    """The one JSON text of `value`: sorted keys, no spaces, ASCII only; equal values give equal text.

    Raises:
        InvalidSettingError: `value` holds NaN or an infinity, or something that JSON cannot say.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSettingError(f"Not storable as JSON: {error}.") from None


def sha256_of(content: bytes) -> str:
    """The SHA-256 of `content` as 64 lowercase hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
