"""`Vault`: secrets at rest, in fields that are `encrypt`: AES-256-GCM, with a key derived from `SECRET`.

A sealed text is `datastead:1:<id of the key>:<nonce and ciphertext>`. The place it belongs to (`collection.field`) is
authenticated with it, so that it opens nowhere else. What Directus has sealed is opened, too, and never changed.
"""

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from datastead.data.directus import is_sealed_by_directus, open_sealed
from datastead.data.wire import CONCEALED
from datastead.errors import ServiceUnavailable, UnprocessableContent

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from datastead.settings import Settings

PREFIX = "datastead:1:"
NONCE_BYTES = 12
KEY_BYTES = 32
PURPOSE = b"datastead: fields that are encrypted at rest"


class Vault:
    """Seals with `SECRET`; opens what was sealed with it, or with `SECRET_PREVIOUS`."""

    def __init__(self, settings: "Settings") -> None:
        self._may_seal = settings.has_own_secret
        self._current = _derived(settings.secret.get_secret_value())
        previous = settings.secret_previous
        both = [settings.secret, *([previous] if previous else [])]
        self._secrets = [secret.get_secret_value() for secret in both]
        self._known = [self._current, *([_derived(previous.get_secret_value())] if previous else [])]

    def seal(self, place: str, text: str, *, lasts: bool = True) -> str:
        """The text as it is stored. Raises `UnprocessableContent` where it could not be read after the next start.

        lasts: False for what is of no use then in any case, as a link is that was signed with the same secret.
        """
        if lasts and not self._may_seal:
            reason = (
                "Secrets are stored encrypted with `SECRET`, which is not set: set it to a long random text, restart"
            )
            raise UnprocessableContent(f"{reason}, and try again.", reason=reason)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + _cipher(self._current).encrypt(nonce, text.encode(), place.encode())
        return f"{PREFIX}{_id(self._current)}:{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, place: str, sealed: str) -> str:
        """The text. Raises `ServiceUnavailable` that names the cure, where no key that we have opens it."""
        from cryptography.exceptions import InvalidTag

        if is_sealed_by_directus(sealed):
            return self._opened_of_directus(place, sealed)
        key_id, _, data = sealed.removeprefix(PREFIX).partition(":")
        key = next((key for key in self._known if _id(key) == key_id), None)
        if not is_sealed(sealed) or key is None:
            raise _unreadable(place)
        try:
            raw = base64.urlsafe_b64decode(data)
            return _cipher(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise _unreadable(place) from None

    def _opened_of_directus(self, place: str, sealed: str) -> str:
        found = (open_sealed(secret, sealed) for secret in self._secrets)
        text = next((text for text in found if text is not None), None)
        if text is None:
            raise _unreadable(place)
        return text

    def is_outdated(self, sealed: str) -> bool:
        """Whether it was sealed with `SECRET_PREVIOUS`."""
        return self._may_seal and any(sealed.startswith(f"{PREFIX}{_id(key)}:") for key in self._known[1:])


def is_sealed(text: object) -> bool:
    """Whether it looks like a sealed text."""
    return isinstance(text, str) and text.startswith(PREFIX)


def place_of(collection: str, field: str) -> str:
    """What a sealed text is bound to."""
    return f"{collection}.{field}"


def in_secrets(value: Any, change: Callable[[str], str]) -> Any:
    """A field's value with its secrets changed: the text itself, or the values of `[{header, value}]`."""
    if isinstance(value, str):
        return change(value) if value else value
    if isinstance(value, Sequence):
        return [_entry(entry, change) for entry in value]
    return value


def _entry(entry: Any, change: Callable[[str], str]) -> Any:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("value"), str):
        return entry
    return {**entry, "value": change(entry["value"])}


def concealed(value: Any) -> Any:
    """A field's value with its secrets hidden."""
    return in_secrets(value, lambda _: CONCEALED)


def _derived(secret: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE).derive(secret.encode())


def _id(key: bytes) -> str:
    return sha256(key).hexdigest()[:8]


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _unreadable(place: str) -> ServiceUnavailable:
    field = place.rpartition(".")[2]
    reason = f"`{field}` is stored encrypted, and not with the `SECRET` that is set now"
    return ServiceUnavailable(
        f"{reason}: write it again (`PATCH /settings`), or set `SECRET_PREVIOUS` to the former `SECRET` and restart.",
        reason=reason, field=field,
    )  # fmt: skip
