"""What the item operations have in common: their options, and JSON that may be given as text."""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, Field

from datastead import Options
from datastead.errors import Forbidden, InvalidPayload


def json_or_text(value: Any) -> Any:
    """The value of JSON text; anything else as it is."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


Key = str | int
Json = Annotated[Any, BeforeValidator(json_or_text)]
Payload = Annotated[dict[str, Any] | list[dict[str, Any]] | None, BeforeValidator(json_or_text)]
QueryOption = Annotated[dict[str, Any] | None, BeforeValidator(json_or_text)]


def _keys(value: Any) -> Any:
    """A list where the text is a JSON list; a key as it is."""
    return json_or_text(value) if isinstance(value, str) and value.lstrip().startswith("[") else value or None


Keys = Annotated[Key | list[Key] | None, BeforeValidator(_keys)]


class CollectionOptions(Options):
    """Which collection, and who acts."""

    collection: str = Field(min_length=1, description="The collection.")
    permissions: str | None = Field(
        None, description="Who acts: `$trigger` (default) whoever caused the run, `$full`, `$public`, or a role's id."
    )


class ChangeOptions(CollectionOptions):
    """Whether other flows hear of the change."""

    emit_events: bool = Field(False, alias="emitEvents", description="Whether the change may start flows.")


def one_or_all(asked: Sequence[Key], found: Sequence[Any]) -> Any:
    """The key where one was asked for, else the keys. Raises `Forbidden` where an item is not there."""
    known = {str(key) for key in found}
    for key in asked:
        if str(key) not in known:
            raise Forbidden(f"The item `{key}` does not exist, or you are not allowed to change it.", key=key)
    return found[0] if len(asked) == 1 else list(found)


def refuse(message: str) -> InvalidPayload:
    """The error of options that exclude each other."""
    return InvalidPayload(message)
