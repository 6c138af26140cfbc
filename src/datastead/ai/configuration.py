"""`Configuration`: providers that are configured through `/settings`: read from the row, and followed as it changes.

The environment goes first: a provider that is enabled and has its key there is what it says there, and one that is
switched off there (`AI_…_ENABLED=false`) stays off.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import SecretStr

from datastead.ai.models import COMPATIBLE
from datastead.data import system
from datastead.data.project import COLLECTION, HEADERS, KEYS, AIFields, checked_ai_fields, read_fields, reader_of
from datastead.data.vault import Vault, in_secrets, is_sealed, place_of
from datastead.errors import DatasteadError, InvalidPayload, ServiceUnavailable
from datastead.settings import Settings

if TYPE_CHECKING:
    from datastead.ai.engine import AI
    from datastead.data.engine import Database, Transaction

log = logging.getLogger("datastead.ai")

POLL_S = 0.4
"""How often each process looks whether the row has changed."""

SECRETS = (*KEYS, HEADERS)
MODELS, NAME, BASE_URL = "ai_openai_compatible_models", "ai_openai_compatible_name", "ai_openai_compatible_base_url"
FIELDS = (
    *SECRETS, MODELS, NAME, BASE_URL,
    "ai_openai_allowed_models", "ai_anthropic_allowed_models", "ai_google_allowed_models",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings as they count. problems: why a provider cannot be called as the row says, by its name."""

    settings: Settings
    problems: Mapping[str, str] = field(default_factory=dict)


async def configured(database: "Database", settings: Settings) -> Configured:
    """The settings with what the row adds to them."""
    return effective(settings, await database.read(lambda transaction: read_fields(transaction, FIELDS)))


def effective(settings: Settings, row: Mapping[str, Any]) -> Configured:
    """The settings with the row's providers, where the environment does not say otherwise. Never raises."""
    reading = _Reading(settings, row)
    for name, is_enabled, key, allowed in (
        ("openai", settings.ai_openai_enabled, settings.ai_openai_api_key, settings.ai_openai_allowed_models),
        ("anthropic", settings.ai_anthropic_enabled, settings.ai_anthropic_api_key,
         settings.ai_anthropic_allowed_models),
        ("google", settings.ai_google_enabled, settings.ai_google_api_key, settings.ai_google_allowed_models),
    ):  # fmt: skip
        is_off = not is_enabled and f"ai_{name}_enabled" in settings.model_fields_set
        if not is_off and not (is_enabled and key):
            reading.vendor(name, allowed)
    if "ai_openai_compatible_enabled" not in settings.model_fields_set and not settings.ai_openai_compatible_base_url:
        reading.compatible()
    return Configured(settings.model_copy(update=reading.found), reading.problems)


class _Reading:
    """One reading of the row. found: what the row sets."""

    def __init__(self, settings: Settings, row: Mapping[str, Any]) -> None:
        self._row = row
        self._vault = Vault(settings)
        self.found: dict[str, Any] = {}
        self.problems: dict[str, str] = {}

    def vendor(self, name: str, allowed: list[str] | None) -> None:
        key = f"ai_{name}_api_key"
        if not self._row.get(key):
            return
        in_row = self._row.get(f"ai_{name}_allowed_models")
        self.found |= {
            f"ai_{name}_enabled": True,
            f"ai_{name}_allowed_models": allowed if allowed is not None else _names(in_row),
        }
        with self._noting(name):
            self.found[key] = SecretStr(self._opened(key, self._row[key]))

    def compatible(self) -> None:
        if not self._row.get(BASE_URL):
            return
        key = "ai_openai_compatible_api_key"
        self.found |= {"ai_openai_compatible_enabled": True, NAME: self._row.get(NAME) or COMPATIBLE}
        with self._noting(COMPATIBLE):
            parts = {name: self._row.get(name) for name in (BASE_URL, MODELS)}
            checked_ai_fields(parts)
            checked = AIFields.model_validate(parts)
            headers = in_secrets(self._row.get(HEADERS) or [], self._header)
            self.found |= {
                BASE_URL: checked.ai_openai_compatible_base_url,
                MODELS: checked.ai_openai_compatible_models or [],
                HEADERS: {entry["header"]: entry["value"] for entry in headers},
                key: SecretStr(self._opened(key, self._row[key])) if self._row.get(key) else None,
            }

    @contextlib.contextmanager
    def _noting(self, provider: str) -> Any:
        """What cannot be read is said when the provider is called, and stops nothing else."""
        try:
            yield
        except (ServiceUnavailable, InvalidPayload) as error:
            self.problems[provider] = error.message

    def _header(self, value: str) -> str:
        """Directus keeps these in clear."""
        return self._opened(HEADERS, value) if is_sealed(value) else value

    def _opened(self, name: str, sealed: str) -> str:
        return self._vault.open(place_of(COLLECTION, name), sealed)


def _names(value: Any) -> list[str]:
    """The contract's rule: null and empty allow nothing."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


class Configuration:
    """Keeps the providers of an `AI` as the row has them, in every process within a second."""

    def __init__(self, settings: Settings, database: "Database", ai: "AI") -> None:
        self._settings = settings
        self._database = database
        self._ai = ai
        self._read: Callable[[Transaction], dict[str, Any]] = lambda transaction: read_fields(transaction, FIELDS)
        self._row: dict[str, Any] | None = None
        self._following: asyncio.Task[None] | None = None
        self._refreshing = asyncio.Lock()

    async def start(self) -> None:
        """Reads the row, and begins to follow it. Secrets sealed with `SECRET_PREVIOUS` are sealed anew."""
        self._read = await self._database.read(lambda transaction: reader_of(transaction, FIELDS))
        if self._settings.secret_previous is not None:
            await self._database.write(self._seal_anew)
        await self.refresh()
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stops following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def refresh(self) -> None:
        """Takes over what the row says now. Calls under way go on with what they had."""
        async with self._refreshing:  # what was read first must not be taken over last
            row = await self._database.read(self._read)
            if row == self._row:
                return
            found = effective(self._settings, row)
            self._ai.reconfigure(found.settings, found.problems)
            self._row = row
        for provider, problem in found.problems.items():
            log.warning("The provider `%s` cannot be called: %s", provider, problem)

    async def _follow(self) -> None:
        is_failing = False
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.refresh()
                is_failing = False
            except Exception as error:  # noqa: BLE001  the database may be away for a while: what was read stays
                if not is_failing:
                    log.warning("The settings cannot be read, and stay as they were: %s", type(error).__name__)
                is_failing = True

    def _seal_anew(self, transaction: "Transaction") -> None:
        """Each secret that `SECRET_PREVIOUS` opens."""
        vault, table = Vault(self._settings), system.settings
        transaction.execute(sa.select(table.c.id).with_for_update())
        for name, value in read_fields(transaction, SECRETS).items():
            anew = in_secrets(value, lambda text, name=name: _sealed_anew(vault, place_of(COLLECTION, name), text))  # type: ignore[misc]
            if anew != value:
                transaction.execute(sa.update(table).values({table.c[name]: anew}))


def _sealed_anew(vault: Vault, place: str, text: str) -> str:
    if not is_sealed(text) or not vault.is_outdated(text):
        return text
    try:
        return vault.seal(place, vault.open(place, text))
    except DatasteadError:
        return text  # what cannot be opened is said when its provider is called
