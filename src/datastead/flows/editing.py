"""Changes of flows as Directus's API makes them: fields, and operations that may be nested. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from datastead.errors import InvalidPayload
from datastead.flows.document import is_uuid
from datastead.flows.model import FlowDefinition, OperationDefinition

_FLOW_TEXTS = ("name", "icon", "color", "description", "status", "trigger", "accountability")
_FLOW_FIELDS = (*_FLOW_TEXTS, "id", "options", "operation", "operations", "date_created", "user_created")
_OPERATION_TEXTS = ("name", "key", "type")
_OPERATION_FIELDS = (
    *_OPERATION_TEXTS, "id", "options", "resolve", "reject", "flow", "position_x", "position_y", "date_created",
    "user_created",
)  # fmt: skip


def new_flow(payload: Mapping[str, Any]) -> FlowDefinition:
    """A flow from what was posted."""
    if not payload.get("name"):
        raise InvalidPayload("A flow needs a `name`.", field="name")
    empty = FlowDefinition(id=_given_id(payload) or str(uuid4()), name="", trigger=None)
    return changed_flow(empty, payload)


def changed_flow(flow: FlowDefinition, payload: Mapping[str, Any]) -> FlowDefinition:
    """The flow with what was sent for it."""
    _check_fields(payload, _FLOW_FIELDS, "flow")
    changes: dict[str, Any] = {name: _text(payload, name) for name in _FLOW_TEXTS if name in payload}
    if "options" in payload:
        changes["options"] = _object(payload, "options")
    merging = _Merging(flow.operations)
    if "operations" in payload:
        merging.replace(payload["operations"])
    if "operation" in payload:
        changes["operation"] = merging.link(payload["operation"])
    return replace(flow, **changes, operations=merging.result())


def with_operation(flow: FlowDefinition, payload: Mapping[str, Any]) -> tuple[FlowDefinition, str]:
    """The flow with one more operation, or one changed; and the operation's id."""
    merging = _Merging(flow.operations)
    operation = merging.merge(payload)
    return replace(flow, operations=merging.result()), operation


def without_operation(flow: FlowDefinition, operation: str) -> FlowDefinition:
    """The flow without an operation; what led to it leads nowhere."""
    rest = tuple(
        replace(other, resolve=_unless(other.resolve, operation), reject=_unless(other.reject, operation))
        for other in flow.operations
        if other.id != operation
    )
    return replace(flow, operations=rest, operation=_unless(flow.operation, operation))


class _Merging:
    """Operations, as payloads are put into them."""

    def __init__(self, operations: Sequence[OperationDefinition]) -> None:
        self._operations = {operation.id: operation for operation in operations}

    def result(self) -> tuple[OperationDefinition, ...]:
        return tuple(self._operations.values())

    def replace(self, given: Any) -> None:
        """The operations that are given, as ids or objects, and no others."""
        if isinstance(given, Mapping):
            self._change(given)
            return
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise InvalidPayload("`operations` is a list.", field="operations")
        kept = {self.link(entry) for entry in given}
        self._operations = {key: operation for key, operation in self._operations.items() if key in kept}

    def _change(self, given: Mapping[str, Any]) -> None:
        """Directus's `{create, update, delete}`."""
        for payload in (*(given.get("create") or ()), *(given.get("update") or ())):
            self.link(payload)
        for key in given.get("delete") or ():
            self._operations.pop(str(key), None)

    def link(self, target: Any) -> str | None:
        """The id that a link leads to; an object is an operation of its own."""
        if target is None or isinstance(target, str):
            return target
        if not isinstance(target, Mapping):
            raise InvalidPayload(
                f"An operation is given as its id or as an object, not as `{target}`.", value=str(target)
            )
        return self.merge(target)

    def merge(self, payload: Mapping[str, Any]) -> str:
        """Adds an operation, or changes the one of that id; with those nested in it."""
        _check_fields(payload, _OPERATION_FIELDS, "operation")
        operation = _given_id(payload) or str(uuid4())
        before = self._operations.get(operation)
        if before is None and not (payload.get("key") and payload.get("type")):
            missing = "key" if not payload.get("key") else "type"
            raise InvalidPayload(f"An operation needs a `{missing}`.", field=missing)
        before = before or OperationDefinition(id=operation, key="", type="")
        self._operations[operation] = before
        self._operations[operation] = replace(before, **self._changes(payload))
        return operation

    def _changes(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        texts = {name: _text(payload, name) for name in _OPERATION_TEXTS if name in payload}
        positions = {name: _position(payload, name) for name in ("position_x", "position_y") if name in payload}
        links = {name: self.link(payload[name]) for name in ("resolve", "reject") if name in payload}
        options = {"options": _object(payload, "options")} if "options" in payload else {}
        return {**texts, **positions, **links, **options}


def _check_fields(payload: Mapping[str, Any], known: Sequence[str], word: str) -> None:
    for name in payload:
        if name not in known:
            names = ", ".join(f"`{field}`" for field in known)
            raise InvalidPayload(f"A {word} has no field `{name}`: use {names}.", field=name)


def _given_id(payload: Mapping[str, Any]) -> str | None:
    given = payload.get("id")
    if given is None:
        return None
    if not isinstance(given, str) or not is_uuid(given):
        raise InvalidPayload(f"An id is a UUID, not `{given}`.", field="id", value=str(given))
    return given.lower()


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    value = payload[name]
    if value is not None and not isinstance(value, str):
        raise InvalidPayload(f"`{name}` is text, not `{value}`.", field=name, value=str(value))
    return value


def _object(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload[name]
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidPayload(f"`{name}` is an object, not `{value}`.", field=name, value=str(value))
    return dict(value)


def _position(payload: Mapping[str, Any], name: str) -> int:
    value = payload[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidPayload(f"`{name}` is a whole number, not `{value}`.", field=name, value=str(value))
    return value


def _unless(link: str | None, gone: str) -> str | None:
    return None if link == gone else link
