"""Flows as Directus's clients save them: rows, one by one or nested; and flows that others have written."""

from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from datastead.context import PUBLIC, Actor, Context
from datastead.data.system import flows, operations
from datastead.errors import Forbidden, InvalidFlow, InvalidForeignKey, InvalidPayload, TemplateError
from tests.flows.conftest import House, open_house

HOOK = {"name": "Hook", "trigger": "webhook", "options": {"method": "POST"}}


def row(flow: str, key: str, **fields: Any) -> dict[str, Any]:
    return {"flow": flow, "key": key, "type": "transform", "options": {"json": key}, **fields}


async def test_a_flow_is_built_row_by_row(house: House) -> None:
    service, ctx = house.services.flows, house.ctx
    flow = await service.create_flow(ctx, HOOK)
    one = await service.create_operation(ctx, row(flow, "one", position_x=19, position_y=1, resolve=None, reject=None))
    two = await service.create_operation(ctx, row(flow, "two"))
    await service.update_operation(ctx, one, {"resolve": two})
    await service.update_flow(ctx, flow, {"operation": one})
    assert await house.call(flow) == "two"
    await service.delete_operation(ctx, two)
    assert await house.call(flow) == "one"
    await service.delete_flow(ctx, flow)
    with pytest.raises(Forbidden):
        await house.call(flow)
    assert await house.rows(operations) == []


async def test_a_flow_is_saved_with_nested_operations(house: House) -> None:
    service, ctx = house.services.flows, house.ctx
    nested = {"key": "one", "type": "transform", "options": {"json": 1}, "position_x": 1, "position_y": 1}
    follow = {"key": "two", "type": "transform", "options": {"json": 2}, "position_x": 2, "position_y": 1}
    flow = await service.create_flow(ctx, {**HOOK, "operation": {**nested, "resolve": follow}})
    assert await house.call(flow) == 2
    (first, second) = sorted(await house.rows(operations), key=lambda found: found.key)
    await service.update_flow(
        ctx, flow, {"operation": {"id": str(first.id), "resolve": {"id": str(second.id), "options": {"json": 3}}}}
    )
    assert await house.call(flow) == 3
    await service.update_flow(
        ctx, flow, {"operations": [str(first.id)], "operation": {"id": str(first.id), "resolve": None}}
    )
    assert await house.call(flow) == 1


async def test_links_can_be_swapped(house: House) -> None:
    service, ctx = house.services.flows, house.ctx
    flow = await service.create_flow(ctx, HOOK)
    one, two, three = [await service.create_operation(ctx, row(flow, key)) for key in ("one", "two", "three")]
    await service.update_operation(ctx, one, {"resolve": two, "reject": three})
    await service.update_operation(ctx, one, {"resolve": three, "reject": two})
    await service.update_flow(ctx, flow, {"operation": one})
    assert await house.call(flow) == "three"


async def test_a_row_that_breaks_the_flow_is_refused_and_nothing_is_written(house: House) -> None:
    service, ctx = house.services.flows, house.ctx
    flow = await service.create_flow(ctx, HOOK)
    one = await service.create_operation(ctx, row(flow, "one"))
    two = await service.create_operation(ctx, row(flow, "two", resolve=one))
    before = await house.rows(operations)
    wrong: list[tuple[type[Exception], Any]] = [
        (InvalidFlow, row(flow, "one")),
        (InvalidFlow, row(flow, "x", type="exec")),
        (InvalidFlow, row(flow, "x", resolve=str(uuid4()))),
        (InvalidFlow, row(flow, "x", resolve=one)),
        (InvalidFlow, row(flow, "x", type="ai-generate", options={})),
        (TemplateError, row(flow, "x", options={"json": "{{ a"})),
        (InvalidForeignKey, row(str(uuid4()), "x")),
        (InvalidForeignKey, row("no-uuid", "x")),
        (InvalidPayload, {"flow": flow, "type": "log"}),
        (InvalidPayload, row(flow, "x", colour="red")),
        (InvalidPayload, row(flow, "x", options="text")),
        (InvalidPayload, row(flow, "x", id="no-uuid")),
        (InvalidPayload, row(flow, "x", position_x="far")),
    ]
    for error, payload in wrong:
        with pytest.raises(error):
            await service.create_operation(ctx, payload)
    with pytest.raises(InvalidFlow, match="circle"):
        await service.update_operation(ctx, one, {"resolve": two})
    with pytest.raises(InvalidFlow):
        await service.update_flow(ctx, flow, {"trigger": "schedule", "options": {"cron": "never"}})
    with pytest.raises(InvalidPayload):
        await service.create_flow(ctx, {"trigger": "webhook"})
    assert await house.rows(operations) == before
    assert len(await house.rows(flows)) == 1


async def test_a_slow_operation_cannot_get_into_a_filter_flow(house: House) -> None:
    service, ctx = house.services.flows, house.ctx
    event = {"type": "filter", "scope": ["items.create"], "collections": ["articles"]}
    flow = await service.create_flow(ctx, {"name": "F", "trigger": "event", "options": event})
    ask = {"flow": flow, "key": "ask", "type": "ai-generate", "options": {"model": "m", "prompt": "p"}}
    with pytest.raises(InvalidFlow, match="filter flow"):
        await service.create_operation(ctx, ask)
    await service.update_flow(ctx, flow, {"options": {**event, "type": "action"}})
    await service.create_operation(ctx, ask)
    with pytest.raises(InvalidFlow, match="filter flow"):
        await service.update_flow(ctx, flow, {"options": event})


async def test_a_flow_may_lack_its_trigger_while_it_is_put_together(house: House) -> None:
    service, ctx = house.services.flows, house.ctx
    bare = await service.create_flow(ctx, {"name": "Later"})
    half = await service.create_flow(ctx, {"name": "Half", "trigger": "event", "options": None})
    problems = {flow["id"]: flow["problem"] for flow in await service.overview(ctx)}
    assert "trigger" in problems[bare]
    assert "type" in problems[half]


async def test_only_administrators_see_and_change_flows(house: House) -> None:
    service, flow = house.services.flows, await house.apply({**HOOK, "operations": [{"operation": "log"}]})
    run = (await house.call(flow), (await house.runs())[0]["id"])[1]
    for actor in (PUBLIC, Actor(user=str(uuid4()))):
        ctx = Context(house.services, actor)
        for attempt in (
            service.create_flow(ctx, HOOK), service.update_flow(ctx, flow, {}), service.delete_flow(ctx, flow),
            service.apply(ctx, HOOK), service.create_operation(ctx, row(flow, "x")), service.overview(ctx),
            service.update_operation(ctx, flow, {}), service.delete_operation(ctx, flow),
            service.runs(ctx), service.run(ctx, run),
        ):  # fmt: skip
            with pytest.raises(Forbidden):
                await attempt


async def test_what_does_not_exist_is_forbidden(house: House) -> None:
    service, ctx = house.services.flows, house.ctx
    for key in (str(uuid4()), "no-uuid", ""):
        for attempt in (
            service.update_flow(ctx, key, {}), service.delete_flow(ctx, key), service.update_operation(ctx, key, {}),
            service.delete_operation(ctx, key), service.run(ctx, key),
        ):  # fmt: skip
            with pytest.raises(Forbidden):
                await attempt
    assert await house.runs(flow="no-uuid") == []


async def test_applying_a_document_again_replaces_the_flow(house: House) -> None:
    def document(*keys: str) -> dict[str, Any]:
        links = [*keys[1:], None]
        rows = [
            {"operation": "transform", "id": key, "options": {"json": key}, "resolve": link}
            for key, link in zip(keys, links, strict=True)
        ]
        return {**HOOK, "operations": rows}

    flow = await house.apply(document("a", "b", "c"))
    assert await house.apply(document("b", "a")) == flow
    assert await house.call(flow) == "a"
    assert len(await house.rows(operations)) == 2
    assert await house.apply(document("c")) == flow
    assert await house.call(flow) == "c"


async def test_a_document_replaces_the_flow_of_its_name(house: House) -> None:
    flow = await house.services.flows.create_flow(house.ctx, HOOK)
    document = {**HOOK, "operations": [{"operation": "transform", "options": {"json": 5}}]}
    assert await house.apply(document) == flow
    assert await house.call(flow) == 5
    await house.services.flows.create_flow(house.ctx, HOOK)
    with pytest.raises(InvalidFlow, match="2 flows"):
        await house.apply(document)


async def test_a_refused_document_changes_nothing(house: House) -> None:
    good = {**HOOK, "operations": [{"operation": "transform", "options": {"json": 5}}]}
    flow = await house.apply(good)
    with pytest.raises(InvalidFlow):
        await house.apply({**good, "operations": [{"operation": "exec", "options": {"code": "1"}}]})
    assert await house.call(flow) == 5


async def test_a_flow_of_others_that_cannot_run_is_listed_with_the_reason(tables: str) -> None:
    flow, operation = str(uuid4()), str(uuid4())
    new_flow = {"id": flow, "name": "JS", "status": "active", "trigger": "webhook", "operation": operation}
    new_operation = {"id": operation, "flow": flow, "key": "code", "type": "exec", "position_x": 1, "position_y": 1}
    async with open_house(tables) as house:
        await house.services.database.write(
            lambda transaction: transaction.execute(sa.insert(flows), new_flow) and None
        )
        await house.services.database.write(
            lambda transaction: transaction.execute(sa.insert(operations), new_operation) and None
        )
    async with open_house(tables) as house:
        (found,) = await house.services.flows.overview(house.ctx)
        assert "`exec`" in found["problem"]
        with pytest.raises(Forbidden):
            await house.call(flow, method="GET")


async def test_a_changed_flow_does_not_change_a_run_under_way(tables: str) -> None:
    hook = {**HOOK, "options": {"method": "POST", "async": True}}
    async with open_house(tables, dispatch=False) as house:
        flow = await house.apply({**hook, "operations": [{"operation": "transform", "options": {"json": "old"}}]})
        await house.call(flow)
        await house.apply({**hook, "operations": [{"operation": "transform", "options": {"json": "new"}}]})
    async with open_house(tables) as house:
        (run,) = await house.ended()
        assert run["steps"][0]["output"] == "old"
