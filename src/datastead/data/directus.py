"""A database that Directus has written: how it is known, how new it has to be, and how its secrets are read."""

import base64
import binascii
from functools import lru_cache

import sqlalchemy as sa

from datastead.data.engine import Transaction
from datastead.errors import InvalidSettings

MIGRATIONS = sa.table("directus_migrations", sa.column("version", sa.String))
"""Its own list of what was done to its tables: who finds it is in a database of Directus's."""

OLDEST = "20240924B"
"""The last migration (of 11.1 or 11.2) that made a table which is made here, too, where it is missing: in an older
database it would be in the way of Directus's own, and one of Directus 10 has no policies yet."""

SEALED = "1||scrypt||"
MOST_MEMORY = 128 << 20  # bytes that opening a secret may take; Directus takes 16 MB
KEY_BYTES = 32


def is_directus(transaction: Transaction) -> bool:
    """Whether Directus has made the tables of this database."""
    return sa.inspect(transaction.connection).has_table(MIGRATIONS.name)


def refuse_older(transaction: Transaction) -> None:
    """Raises `InvalidSettings` for a database of a Directus that is too old to be understood."""
    if not is_directus(transaction):
        return
    newest = transaction.execute(sa.select(sa.func.max(MIGRATIONS.c.version))).scalar() or "none"
    if newest < OLDEST:
        raise InvalidSettings(
            f"The database of `DATABASE_URL` was written by too old a Directus (its last migration is"
            f" `{newest}`): let Directus 11.2 or newer migrate it (`directus database migrate:latest`) first."
        )


def is_sealed_by_directus(text: str) -> bool:
    """Whether it looks like a secret that Directus has encrypted."""
    return text.startswith(SEALED)


def open_sealed(secret: str, sealed: str) -> str | None:
    """The text of one, with the `SECRET` of that Directus; None where it does not open.

    Shape: `1||scrypt||N||r||p||salt||nonce||ciphertext||tag`, the last four in base64; AES-256-GCM with the key that
    scrypt derives from `SECRET`. Source: seen in databases of Directus 11.16.1 and 12.4.1, 2026-11-26.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        cost, blocks, lanes, *encoded = sealed.removeprefix(SEALED).split("||")
        salt, nonce, ciphertext, tag = (base64.b64decode(part, validate=True) for part in encoded)
        key = _derived(secret, salt, int(cost), int(blocks), int(lanes))
        return AESGCM(key).decrypt(nonce, ciphertext + tag, None).decode()
    except (InvalidTag, ValueError, binascii.Error):
        return None


@lru_cache(maxsize=16)  # it is made to be slow, and the settings are read each time that they have changed
def _derived(secret: str, salt: bytes, cost: int, blocks: int, lanes: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    if not 0 < 128 * cost * blocks <= MOST_MEMORY or not 0 < lanes <= 4:
        raise ValueError
    return Scrypt(salt, KEY_BYTES, cost, blocks, lanes).derive(secret.encode())
