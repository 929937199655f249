"""The key of the hashes that stand in place of identifiers, and what is told of it."""

from __future__ import annotations

import hmac
import os

from camoe.contracts.errors import ConfigError
from camoe.contracts.sources import KeyedHash

KEY_BYTES = 16


def read_key(keyed: KeyedHash) -> bytes:
    """Read the key from the environment variable that `keyed` names.

    Raises:
        ConfigError: it is not set, or shorter than 16 bytes.
    """
    key = os.environ.get(keyed.key_env, "").encode()
    if not key:
        raise ConfigError(f"sources.keyed_hash: the environment variable {keyed.key_env} holds no key; set it")
    if len(key) < KEY_BYTES:
        raise ConfigError(
            f"sources.keyed_hash: the key in {keyed.key_env} has {len(key)} bytes, fewer than {KEY_BYTES}; "
            "make one with: openssl rand -hex 32"
        )
    return key


def fingerprint(key: bytes) -> str:
    """Return the first 8 hex digits of HMAC-SHA-256 with the key over a fixed word.

    They distinguish keys and reveal none.
    """
    return hmac.digest(key, b"camoe", "sha256").hex()[:8]
