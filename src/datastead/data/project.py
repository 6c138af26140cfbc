"""`ProjectSettings`: the one row of `directus_settings`, checked before it is written."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from datastead.context import Context
from datastead.data import system
from datastead.data.engine import Transaction
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.wire import CONCEALED
from datastead.errors import InvalidPayload
from datastead.settings import CustomModel
from datastead.settings.problems import shape
from datastead.settings.values import HttpUrl

COLLECTION = system.settings.name
HEADERS = "ai_openai_compatible_headers"
KEYS = ("ai_openai_api_key", "ai_anthropic_api_key", "ai_google_api_key", "ai_openai_compatible_api_key")
NAME, COLOR = "Datastead", "#6644FF"
"""What a project is called, and its colour, where the settings say neither."""
MOST = 1000  # models, headers or terms in a list

VISIBLE = r"^[\x21-\x7e]+$"
TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # noqa: S105  what HTTP calls a token: a header's name
VALUE = r"^[\x20-\x7e\x80-\xff]*$"


def _blank(value: Any) -> Any:
    """Text without the space around it, which comes with many a copied key; null where nothing is left."""
    return (value.strip() or None) if isinstance(value, str) else value


Text = Annotated[str | None, BeforeValidator(_blank)]
ApiKey = Annotated[str | None, Field(max_length=4096, pattern=VISIBLE), BeforeValidator(_blank)]
ModelId = Annotated[str, Field(min_length=1, max_length=255)]
Models = Annotated[list[ModelId] | None, Field(max_length=MOST)]


class Header(BaseModel):
    """One more header of each request to the compatible endpoint."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    header: str = Field(pattern=TOKEN, max_length=255)
    value: str = Field(pattern=VALUE, max_length=8192)


class Term(BaseModel):
    """A word of the glossary for translations."""

    model_config = ConfigDict(extra="forbid")

    term: str = Field(min_length=1)
    translation_note: str | None = None


class AIFields(BaseModel):
    """The AI fields of the settings, each as it may be written."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    ai_openai_api_key: ApiKey = None
    ai_anthropic_api_key: ApiKey = None
    ai_google_api_key: ApiKey = None
    ai_openai_compatible_api_key: ApiKey = None
    ai_openai_allowed_models: Models = None
    ai_anthropic_allowed_models: Models = None
    ai_google_allowed_models: Models = None
    ai_openai_compatible_name: Annotated[str | None, Field(max_length=64), BeforeValidator(_blank)] = None
    ai_openai_compatible_base_url: Annotated[HttpUrl | None, BeforeValidator(_blank)] = None
    ai_openai_compatible_headers: Annotated[list[Header] | None, Field(max_length=MOST)] = None
    ai_openai_compatible_models: Annotated[list[CustomModel] | None, Field(max_length=MOST)] = None
    ai_translation_glossary: Annotated[list[Term] | None, Field(max_length=MOST)] = None


STRIPPED = (*KEYS, "ai_openai_compatible_name", "ai_openai_compatible_base_url")


class ProjectSettings:
    """The project's settings, for one actor."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._items = Items(ctx, COLLECTION)

    async def read(self, query: Query | None = None) -> dict[str, Any]:
        """The row, with keys and the values of headers hidden. Raises `Forbidden`."""
        return await self._items.read_singleton(query)

    async def write(self, payload: Mapping[str, Any]) -> None:
        """Changes the row. Raises `InvalidPayload` with the field, `Forbidden`, and `UnprocessableContent` without
        `SECRET`. A key, or a header's value, that is given as `**********` stays as it is.
        """
        changes = {name: value for name, value in payload.items() if name != "id"}
        changes |= checked_ai_fields(changes)
        async with self._ctx.transaction() as ctx:
            if changes.get(HEADERS):
                changes[HEADERS] = _with_kept(changes[HEADERS], await _stored_headers(ctx))
            await Items(ctx, COLLECTION).write_singleton(changes)


def checked_ai_fields(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the AI fields that are changed on the way in. Raises `InvalidPayload`, which shows no value."""
    try:
        checked = AIFields.model_validate(payload)
    except ValidationError as error:
        raise _invalid(error) from None
    return {name: getattr(checked, name) for name in STRIPPED if name in payload}


def _invalid(error: ValidationError) -> InvalidPayload:
    problem = error.errors(include_url=False)[0]
    field, *path = problem["loc"]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    reason = f"`{field}{place}` is {_why(problem)}"
    return InvalidPayload(f"{reason}.", reason=reason, collection=COLLECTION, field=str(field))


def _why(problem: Any) -> str:
    words = {
        "missing": "missing",
        "extra_forbidden": "not a known key",
        "string_pattern_mismatch": "text with characters that cannot stand there",
    }
    if problem["type"] == "value_error":
        return f"{shape(problem['input'])}; allowed: {problem['ctx']['error']}"
    return words.get(problem["type"]) or f"{shape(problem['input'])}: {str(problem['msg']).lower()}"


async def _stored_headers(ctx: Context) -> dict[str, str]:
    """The values as they are stored, sealed, by the headers' names."""
    assert ctx.connection is not None
    stored = (await ctx.connection.run(lambda transaction: read_fields(transaction, [HEADERS]))).get(HEADERS) or []
    return {entry["header"]: entry["value"] for entry in stored if isinstance(entry, dict) and "value" in entry}


def _with_kept(headers: Sequence[Any], stored: Mapping[str, str]) -> list[Any]:
    """The headers, with what is stored in place of the mask. One that is masked and not stored has no value."""
    return [
        {**entry, "value": stored.get(entry["header"], "")} if entry.get("value") == CONCEALED else entry
        for entry in headers
    ]


def reader_of(transaction: Transaction, names: Sequence[str]) -> Callable[[Transaction], dict[str, Any]]:
    """Reads these fields of the row as they are stored; those that the database's version of the table has."""
    table = system.settings
    have = {column["name"] for column in sa.inspect(transaction.connection).get_columns(table.name)}
    wanted = [table.c[name] for name in names if name in have]
    statement = sa.select(*wanted).limit(1)

    def read(transaction: Transaction) -> dict[str, Any]:
        row = transaction.execute(statement).mappings().first() if wanted else None
        return {} if row is None else {str(name): value for name, value in row.items()}

    return read


def read_fields(transaction: Transaction, names: Sequence[str]) -> dict[str, Any]:
    """These fields of the row as they are stored."""
    return reader_of(transaction, names)(transaction)


async def about_project(ctx: Context) -> dict[str, str]:
    """What templates say of the project: `projectName`, `projectColor`, `projectLogo`, `projectUrl`; empty = unset."""
    read = partial(read_fields, names=("project_name", "project_color", "project_logo", "project_url"))
    row = await (ctx.connection.run(read) if ctx.connection else ctx.services.database.read(read))
    logo, own_url = row.get("project_logo"), ctx.services.settings.public_url
    return {
        "projectName": row.get("project_name") or NAME, "projectColor": row.get("project_color") or COLOR,
        "projectLogo": f"{own_url.rstrip('/')}/assets/{logo}" if logo and own_url else "",
        "projectUrl": row.get("project_url") or "",
    }  # fmt: skip
