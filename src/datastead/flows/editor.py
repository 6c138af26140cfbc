"""`Editor`: saves flows. Every change is made on the whole flow, checked as a whole, and written in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from datastead.context import Context
from datastead.data.engine import Connection, Transaction
from datastead.data.history import History
from datastead.errors import Forbidden, InvalidFlow, InvalidForeignKey
from datastead.extensions import Registry
from datastead.flows import editing, store
from datastead.flows.catalog import Catalog
from datastead.flows.document import from_document, is_uuid
from datastead.flows.model import FlowDefinition, check
from datastead.flows.store import Change
from datastead.flows.template import Templates


class Editor:
    """Creates, changes and deletes flows and operations; for administrators only."""

    def __init__(self, registry: Registry, templates: Templates, catalog: Catalog) -> None:
        self._registry = registry
        self._templates = templates
        self._catalog = catalog

    async def apply(self, ctx: Context, document: Mapping[str, Any]) -> str:
        """Creates the flow that a document of either shape describes, or replaces the one of its id or name."""
        _require_admin(ctx)
        async with ctx.transaction() as inside:
            connection = _connection(inside)
            new = from_document(document)
            old = await connection.run(lambda transaction: store.load(transaction, new.id))
            if old is None and document.get("id") is None:
                old = await self._of_name(connection, new.name)
                new = from_document(document, old.id) if old else new
            await self._save(inside, _laid_out(new), old, complete=True)
        return new.id

    async def create_flow(self, ctx: Context, payload: Mapping[str, Any]) -> str:
        _require_admin(ctx)
        flow = editing.new_flow(payload)
        async with ctx.transaction() as inside:
            await self._save(inside, flow, None)
        return flow.id

    async def update_flow(self, ctx: Context, flow_id: str, payload: Mapping[str, Any]) -> None:
        await self._change(ctx, flow_id, lambda flow: editing.changed_flow(flow, _without_id(payload)))

    async def delete_flow(self, ctx: Context, flow_id: str) -> None:
        _require_admin(ctx)
        async with ctx.transaction() as inside:
            connection = _connection(inside)
            flow = await _load(connection, flow_id)
            self._forget_after(connection)
            await connection.run(lambda transaction: store.delete(transaction, flow))
            await _record(inside, [("directus_flows", "delete", flow.id, {}, None)])

    async def create_operation(self, ctx: Context, payload: Mapping[str, Any]) -> str:
        _require_admin(ctx)
        flow_id = payload.get("flow")
        if not isinstance(flow_id, str) or not is_uuid(flow_id):
            raise InvalidForeignKey("An operation needs a `flow`: the id of the flow that it is of.", field="flow")
        async with ctx.transaction() as inside:
            old = await _connection(inside).run(lambda transaction: store.load(transaction, flow_id.lower()))
            if old is None:
                raise InvalidForeignKey(f"There is no flow `{flow_id}`.", field="flow", value=flow_id)
            new, operation = editing.with_operation(old, payload)
            await self._save(inside, new, old)
        return operation

    async def update_operation(self, ctx: Context, operation_id: str, payload: Mapping[str, Any]) -> None:
        _require_admin(ctx)
        change = {**_without_id(payload), "id": operation_id}
        async with ctx.transaction() as inside:
            old = await _load_flow_of(_connection(inside), operation_id)
            new, _ = editing.with_operation(old, change)
            await self._save(inside, new, old)

    async def delete_operation(self, ctx: Context, operation_id: str) -> None:
        _require_admin(ctx)
        async with ctx.transaction() as inside:
            old = await _load_flow_of(_connection(inside), operation_id)
            await self._save(inside, editing.without_operation(old, operation_id), old)

    async def _change(self, ctx: Context, flow_id: str, change: Callable[[FlowDefinition], FlowDefinition]) -> None:
        _require_admin(ctx)
        async with ctx.transaction() as inside:
            old = await _load(_connection(inside), flow_id)
            await self._save(inside, change(old), old)

    async def _save(
        self, inside: Context, new: FlowDefinition, old: FlowDefinition | None, *, complete: bool = False
    ) -> None:
        """Checks a flow as a whole, and writes it. One that is being put together need not be complete."""
        check(new, self._registry, self._templates, complete=complete)
        connection, user, now = _connection(inside), inside.actor.user, inside.now()
        self._forget_after(connection)
        await connection.run(lambda transaction: store.save(transaction, new, old, user=user, now=now))
        await _record(inside, [change for change in store.changes(new, old) if change[-1] != []])

    def _forget_after(self, connection: Connection) -> None:
        connection.after_commit(self._catalog.forget)
        connection.after_rollback(self._catalog.forget)

    async def _of_name(self, connection: Connection, name: str) -> FlowDefinition | None:
        found = await connection.run(lambda transaction: store.ids_by_name(transaction, name))
        if len(found) > 1:
            raise InvalidFlow(
                f"{len(found)} flows have the name `{name}`: give the `id` of one.", option="name", value=name
            )
        return await connection.run(lambda transaction: store.load(transaction, found[0])) if found else None


async def _record(inside: Context, changes: Sequence[Change]) -> None:
    """Adds activities and revisions for what was written past `Items`."""
    schema = await inside.services.schemas.get()

    def work(transaction: Transaction) -> None:
        for name, verb, key, row, written in changes:
            history = History(inside, schema, schema.collection(name))
            history.record(transaction, verb, [key], [row] if row else None, written)

    await _connection(inside).run(work)


def _require_admin(ctx: Context) -> None:
    if not ctx.actor.is_admin:
        raise Forbidden


def _connection(inside: Context) -> Connection:
    assert inside.connection is not None
    return inside.connection


async def _load(connection: Connection, flow_id: str) -> FlowDefinition:
    found = await connection.run(lambda transaction: store.load(transaction, flow_id)) if is_uuid(flow_id) else None
    if found is None:
        raise Forbidden
    return found


async def _load_flow_of(connection: Connection, operation_id: str) -> FlowDefinition:
    if not is_uuid(operation_id):
        raise Forbidden
    flow_id = await connection.run(lambda transaction: store.flow_of(transaction, operation_id))
    return await _load(connection, flow_id or "")


def _without_id(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != "id"}


def _laid_out(flow: FlowDefinition) -> FlowDefinition:
    """Side by side in a Studio, where the document gives no positions."""
    if any((operation.position_x, operation.position_y) != (1, 1) for operation in flow.operations):
        return flow
    placed = (replace(operation, position_x=19 + 18 * index) for index, operation in enumerate(flow.operations))
    return replace(flow, operations=tuple(placed))
