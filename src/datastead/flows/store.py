"""Flows as rows of `directus_flows` and `directus_operations`. Functions of an open transaction."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from datastead.data.engine import Transaction
from datastead.data.history import Verb
from datastead.data.signals import notify
from datastead.data.system import flows, operations, versions
from datastead.flows.model import FlowDefinition, OperationDefinition

VERSION_NAME = "flows"
Row = Mapping[str, Any]
Change = tuple[str, Verb, str, Row, list[str] | None]
"""Of a row: the table, what, the key, the row as it is then (empty = gone), and the fields that are written."""


def load_all(transaction: Transaction) -> list[FlowDefinition]:
    """Every flow, active or not, in the order of their names."""
    by_flow: dict[str, list[OperationDefinition]] = {}
    for row in transaction.execute(sa.select(operations).order_by(operations.c.date_created, operations.c.id)):
        by_flow.setdefault(str(row.flow), []).append(_operation(row))
    rows = transaction.execute(sa.select(flows).order_by(flows.c.name, flows.c.id))
    return [_flow(row, by_flow.get(str(row.id), [])) for row in rows]


def load(transaction: Transaction, flow_id: str) -> FlowDefinition | None:
    """One flow; None where there is none."""
    row = transaction.execute(sa.select(flows).where(flows.c.id == flow_id)).first()
    if row is None:
        return None
    found = transaction.execute(
        sa.select(operations).where(operations.c.flow == flow_id).order_by(operations.c.date_created, operations.c.id)
    )
    return _flow(row, [_operation(row) for row in found])


def flow_of(transaction: Transaction, operation_id: str) -> str | None:
    """The id of the flow that has the operation."""
    row = transaction.execute(sa.select(operations.c.flow).where(operations.c.id == operation_id)).first()
    return str(row.flow) if row else None


def ids_by_name(transaction: Transaction, name: str) -> list[str]:
    """The ids of the flows of this name."""
    found = sa.select(flows.c.id).where(flows.c.name == name).order_by(flows.c.id)
    return [str(row.id) for row in transaction.execute(found)]


def save(
    transaction: Transaction, new: FlowDefinition, old: FlowDefinition | None, *, user: str | None, now: datetime
) -> None:
    """Writes what differs between two definitions of a flow.

    Links are unique, so that those that change are nulled before any is set.
    """
    written = {"date_created": now, "user_created": user}
    if old is None:
        transaction.execute(sa.insert(flows), {**_flow_row(new), **written, "operation": None})
    before = {operation.id: operation for operation in old.operations} if old else {}
    after = {operation.id: operation for operation in new.operations}
    _null_links(transaction, new, before, after)
    for gone in before.keys() - after.keys():
        transaction.execute(sa.delete(operations).where(operations.c.id == gone))
    for operation in new.operations:
        if operation.id not in before:
            row = {**_operation_row(operation, new.id), **written, "resolve": None, "reject": None}
            transaction.execute(sa.insert(operations), row)
    for operation in new.operations:
        if operation != before.get(operation.id):
            _update(transaction, operations, operation.id, _operation_row(operation, new.id))
    _update(transaction, flows, new.id, _flow_row(new))
    bump(transaction)


def changes(new: FlowDefinition, old: FlowDefinition | None) -> Iterator[Change]:
    """What `save` does to rows."""
    before = {operation.id: operation for operation in old.operations} if old else {}
    yield _change(flows, _flow_row(new), _flow_row(old) if old else None)
    for operation in new.operations:
        known = before.pop(operation.id, None)
        former = _operation_row(known, new.id) if known else None
        yield _change(operations, _operation_row(operation, new.id), former)
    for gone in before:
        yield operations.name, "delete", gone, {}, None


def _change(table: sa.Table, row: Row, former: Row | None) -> Change:
    written = None if former is None else [name for name, value in row.items() if value != former[name]]
    return table.name, "create" if former is None else "update", row["id"], row, written


def delete(transaction: Transaction, flow: FlowDefinition) -> None:
    """Deletes a flow with its operations."""
    _null_links(transaction, flow, {operation.id: operation for operation in flow.operations}, {})
    transaction.execute(sa.delete(operations).where(operations.c.flow == flow.id))
    transaction.execute(sa.delete(flows).where(flows.c.id == flow.id))
    bump(transaction)


def bump(transaction: Transaction) -> None:
    """Tells every process that a flow has changed."""
    statement = sa.update(versions).where(versions.c.name == VERSION_NAME).values(version=versions.c.version + 1)
    if transaction.execute(statement).rowcount == 0:
        transaction.execute(sa.insert(versions), {"name": VERSION_NAME, "version": 1})
    notify(transaction, "flows")


def version() -> sa.Select[Any]:
    """How often flows have changed."""
    return sa.select(versions.c.version).where(versions.c.name == sa.bindparam("name", VERSION_NAME, sa.String))


def _null_links(
    transaction: Transaction,
    flow: FlowDefinition,
    before: Mapping[str, OperationDefinition],
    after: Mapping[str, OperationDefinition],
) -> None:
    changed = [key for key, operation in before.items() if operation != after.get(key)]
    if changed:
        no_links = {"resolve": None, "reject": None}
        transaction.execute(sa.update(operations).where(operations.c.id.in_(changed)).values(no_links))
    transaction.execute(sa.update(flows).where(flows.c.id == flow.id).values(operation=None))


def _update(transaction: Transaction, table: sa.Table, key: str, row: Mapping[str, Any]) -> None:
    changed = {name: value for name, value in row.items() if name != "id"}
    transaction.execute(sa.update(table).where(table.c.id == key).values(changed))


def _flow_row(flow: FlowDefinition) -> dict[str, Any]:
    return {
        "id": flow.id, "name": flow.name, "icon": flow.icon, "color": flow.color, "description": flow.description,
        "status": flow.status, "trigger": flow.trigger, "accountability": flow.accountability,
        "options": dict(flow.options), "operation": flow.operation,
    }  # fmt: skip


def _operation_row(operation: OperationDefinition, flow_id: str) -> dict[str, Any]:
    return {
        "id": operation.id, "name": operation.name, "key": operation.key, "type": operation.type,
        "position_x": operation.position_x, "position_y": operation.position_y, "options": dict(operation.options),
        "resolve": operation.resolve, "reject": operation.reject, "flow": flow_id,
    }  # fmt: skip


def _flow(row: sa.Row[Any], found: list[OperationDefinition]) -> FlowDefinition:
    return FlowDefinition(
        id=str(row.id), name=row.name, trigger=row.trigger, options=row.options or {}, operations=tuple(found),
        operation=_text(row.operation), status=row.status, accountability=row.accountability, icon=row.icon,
        color=row.color, description=row.description,
    )  # fmt: skip


def _operation(row: sa.Row[Any]) -> OperationDefinition:
    return OperationDefinition(
        id=str(row.id), key=row.key, type=row.type, options=row.options or {}, resolve=_text(row.resolve),
        reject=_text(row.reject), name=row.name, position_x=row.position_x, position_y=row.position_y,
    )  # fmt: skip


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
