"""A flow as people write it: the guide's shape, Directus's shape, as JSON, YAML or a JavaScript object literal.

Ids are derived (uuid5) where none are given, so that the same document is the same flow however often it is applied.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

from datastead.errors import InvalidFlow
from datastead.flows.model import FlowDefinition, OperationDefinition, dangling

NAMESPACE = UUID("6c1f5e0a-2d7b-5b53-9d3c-0c6a2f7e41d8")


def read_document(text: str) -> dict[str, Any]:
    """The document in a file: JSON, YAML, or an object literal as in the guide. Raises `InvalidFlow`."""
    try:
        document = json.loads(text)
    except ValueError:
        from datastead.flows.literals import read_yaml  # only for those who write YAML

        document = read_yaml(text)
    if isinstance(document, Mapping) and isinstance(document.get("data"), Mapping):
        document = document["data"]
    if not isinstance(document, Mapping):
        raise InvalidFlow(
            "A flow is an object with `trigger`, `options` and `operations`.", value=type(document).__name__
        )
    return dict(document)


def from_document(document: Mapping[str, Any], flow_id: str | None = None) -> FlowDefinition:
    """The flow that a document of either shape describes. Raises `InvalidFlow` where it cannot be understood.

    flow_id: the id to give it, where the document has none.
    """
    rows = _operation_rows(document)
    name = _optional_text(document, "name") or _derived_name(document, rows)
    own_id = _optional_text(document, "id")
    flow = (as_uuid(own_id) if own_id else flow_id) or str(uuid5(NAMESPACE, name))
    options, operations = _object(document, "options", "The flow"), _operations(flow, rows)
    return FlowDefinition(
        id=flow, name=name, trigger=_optional_text(document, "trigger"), options=options, operations=operations,
        operation=_first(document, operations), status=document.get("status") or "active",
        accountability=document.get("accountability", "all"), icon=_optional_text(document, "icon"),
        color=_optional_text(document, "color"), description=_optional_text(document, "description"),
    )  # fmt: skip


def as_uuid(text: str) -> str:
    """The text where it is a UUID; else one that is derived from it."""
    return str(UUID(text)) if is_uuid(text) else str(uuid5(NAMESPACE, text))


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in its usual form."""
    return re.fullmatch(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", text) is not None


def _operation_rows(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = document.get("operations")
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise InvalidFlow("The flow has no operations: give `operations`, a list of at least one.", option="operations")
    for row in rows:
        if not isinstance(row, Mapping):
            raise InvalidFlow(
                f"An operation is an object with `operation` and `options`, not `{row}`.",
                option="operations",
                value=str(row),
            )
    return list(rows)


def _operations(flow: str, rows: Sequence[Mapping[str, Any]]) -> tuple[OperationDefinition, ...]:
    drafts = [_draft(flow, row, key) for row, key in zip(rows, _operation_keys(rows), strict=True)]
    ids: dict[str, str] = {}
    for row, draft in zip(rows, drafts, strict=True):
        given = (row.get("id"), row.get("key"), draft.key, draft.id)
        ids.update({name: draft.id for name in given if isinstance(name, str)})
    return tuple(_linked(draft, row, ids, drafts) for row, draft in zip(rows, drafts, strict=True))


def _draft(flow: str, row: Mapping[str, Any], key: str) -> OperationDefinition:
    given = row.get("id")
    operation = str(UUID(given)) if isinstance(given, str) and is_uuid(given) else str(uuid5(UUID(flow), key))
    return OperationDefinition(
        id=operation, key=key, type=_operation_type(row), options=_object(row, "options", f"The operation `{key}`"),
        name=_optional_text(row, "name"), position_x=_position(row, "position_x"),
        position_y=_position(row, "position_y"),
    )  # fmt: skip


def _linked(
    draft: OperationDefinition, row: Mapping[str, Any], ids: Mapping[str, str], drafts: Sequence[OperationDefinition]
) -> OperationDefinition:
    links = {}
    for option in ("resolve", "reject"):
        target = row.get(option)
        if target is not None and target not in ids:
            raise dangling(draft.key, option, str(target), [operation.key for operation in drafts])
        links[option] = ids[target] if target is not None else None
    return replace(draft, resolve=links["resolve"], reject=links["reject"])


def _operation_type(row: Mapping[str, Any]) -> str:
    found = row.get("operation") or row.get("type")
    if not isinstance(found, str):
        raise InvalidFlow(
            "An operation has to say which it is: `operation: ai-generate`.", option="operation", value=str(found)
        )
    return found


def _operation_keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each operation's key: as given, or its id where that is a name, or made from its type."""
    keys: list[str] = []
    for row in rows:
        given, own_id = row.get("key"), row.get("id")
        if given is None and isinstance(own_id, str) and not is_uuid(own_id):
            given = own_id
        keys.append(str(given) if given is not None else _new_key(_operation_type(row).replace("-", "_"), keys))
    return keys


def _new_key(wish: str, taken: Sequence[str]) -> str:
    candidates = (wish, *(f"{wish}_{number}" for number in range(2, len(taken) + 3)))
    return next(key for key in candidates if key not in taken)


def _first(document: Mapping[str, Any], operations: Sequence[OperationDefinition]) -> str:
    """The first operation's id: `operation` where it is given (Directus's shape), else the first of the list."""
    given = document.get("operation")
    if given is None:
        return operations[0].id
    found = next((operation.id for operation in operations if given in (operation.id, operation.key)), None)
    return found or str(given)


def _derived_name(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """A name for a flow without one, made from what it does."""
    options = document.get("options")
    options = options if isinstance(options, Mapping) else {}
    scope = options.get("scope") or options.get("cron") or options.get("method") or ""
    what = ", ".join(map(str, scope)) if isinstance(scope, list) else str(scope)
    collections = options.get("collections")
    where = f" in {', '.join(map(str, collections))}" if isinstance(collections, list) and collections else ""
    types = ", ".join(_operation_type(row) for row in rows)
    return f"{document.get('trigger')} {what}{where}: {types}"[:255]


def _optional_text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidFlow(f"`{name}` is text, not `{value}`.", option=name, value=str(value))
    return value


def _object(row: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = row.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidFlow(f"{where}: `{name}` is an object, not `{value}`.", option=name, value=str(value))
    return dict(value)


def _position(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) else 1
