"""What starts flows, and what a caller gets."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from datastead.context import PUBLIC, Actor, Context
from datastead.data import system
from datastead.errors import Forbidden, LoopRefused, OperationRejected
from tests.flows.conftest import ARTICLES, NOTES, House, Undone, eventually, open_house

STRANGER = Actor(user=str(uuid4()))
ECHO = {"operation": "transform", "id": "echo", "options": {"json": "{{ $trigger.body }}"}}
FAIL = {"operation": "throw-error", "id": "fail", "options": {"code": "MY_CODE", "status": 418, "message": "no"}}


def webhook(*operations: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {
        "name": "hook",
        "trigger": "webhook",
        "options": {"method": "POST", **options},
        "operations": list(operations),
    }


def filter_flow(*operations: dict[str, Any], **options: Any) -> dict[str, Any]:
    event = {"type": "filter", "scope": ["items.create", "items.update"], "collections": ["articles"], **options}
    return {"name": "filter", "trigger": "event", "options": event, "operations": list(operations)}


async def test_a_webhook_answers_the_last_value_to_anybody(house: House) -> None:
    flow = await house.apply(webhook(ECHO))
    assert await house.call(flow, {"x": [1]}, ctx=Context(house.services, PUBLIC)) == {"x": [1]}


@pytest.mark.parametrize(
    ("path", "answer"),
    [("echo.x", 1), ("$last", {"x": 1}), ("$trigger.method", "POST"), ("nowhere.at.all", None)],
)
async def test_return_says_what_a_webhook_answers(house: House, path: str, answer: object) -> None:
    flow = await house.apply(webhook(ECHO, **{"return": path}))
    assert await house.call(flow, {"x": 1}) == answer


async def test_return_all_gives_the_contracts_chain(house: House) -> None:
    flow = await house.apply(webhook(ECHO, **{"return": "$all"}))
    assert await house.call(flow, {"x": 1}, ctx=Context(house.services, PUBLIC)) == {
        "$trigger": {
            "path": f"/trigger/{flow}", "query": {}, "body": {"x": 1}, "method": "POST", "headers": {"host": "test"},
        },
        "$last": {"x": 1},
        "$accountability": {
            "role": None, "user": None, "roles": [], "admin": False, "app": False, "ip": None, "userAgent": None,
        },
        "$env": {},
        "echo": {"x": 1},
    }  # fmt: skip


async def test_a_wrong_method_an_unknown_and_an_inactive_flow_look_alike(house: House) -> None:
    flow = await house.apply(webhook(ECHO))
    refused = [(flow, "GET"), (str(uuid4()), "POST"), ("no-uuid", "POST")]
    await house.services.flows.update_flow(house.ctx, flow, {"status": "inactive"})
    refused.append((flow, "POST"))
    for target, method in refused:
        with pytest.raises(Forbidden):
            await house.call(target, {}, method=method)


async def test_a_rejected_webhook_answers_the_error_and_with_error_on_reject_fails(house: House) -> None:
    error = {"name": "OperationRejected", "message": "no", "code": "MY_CODE", "status": 418}
    flow = await house.apply(webhook(FAIL))
    assert await house.call(flow) == error
    await house.apply(webhook(FAIL, error_on_reject=True))
    with pytest.raises(OperationRejected, match="no") as caught:
        await house.call(flow)
    assert caught.value.data == error


async def test_an_async_webhook_answers_nothing_and_runs_afterwards(house: House) -> None:
    create = {
        "operation": "item-create",
        "options": {"collection": "notes", "payload": {"text": "{{ $trigger.body.x }}"}},
    }
    flow = await house.apply(
        webhook({**create, "options": {**create["options"], "permissions": "$full"}}, **{"async": True})
    )  # type: ignore[dict-item]
    assert await house.call(flow, {"x": "later"}, ctx=Context(house.services, PUBLIC)) is None
    await house.ended()
    assert [row.text for row in await house.rows(NOTES)] == ["later"]


async def test_an_operation_acts_as_the_caller_unless_it_says_otherwise(house: House) -> None:
    read = {"operation": "item-read", "options": {"collection": "articles"}}
    flow = await house.apply(webhook(read))
    assert (await house.call(flow, ctx=Context(house.services, PUBLIC)))["code"] == "FORBIDDEN"
    assert await house.call(flow) == []
    for permissions, answer in (("$full", []), ("$public", "FORBIDDEN"), (str(uuid4()), "FORBIDDEN"), ("$trigger", [])):
        await house.apply(webhook({**read, "options": {"collection": "articles", "permissions": permissions}}))
        found = await house.call(flow)
        assert (found["code"] if found else found) == answer


async def test_a_manual_flow_gets_what_was_selected(house: House) -> None:
    both = {"operation": "transform", "options": {"json": ["{{ $trigger.keys }}", "{{ $trigger.body.keys }}"]}}
    flow = await house.apply(
        {"name": "m", "trigger": "manual", "options": {"collections": ["articles"]}, "operations": [both]}
    )
    assert await house.call(flow, {"collection": "articles", "keys": ["1"]}) == [["1"], ["1"]]


@pytest.mark.parametrize(
    ("body", "method"),
    [
        ({"collection": "articles", "keys": []}, "POST"),
        ({"collection": "articles"}, "POST"),
        ({"collection": "articles", "keys": "1"}, "POST"),
        ({"collection": "notes", "keys": [1]}, "POST"),
        ({"keys": [1]}, "POST"),
        ({"collection": "articles", "keys": [1]}, "GET"),
    ],
)
async def test_a_manual_flow_refuses_what_it_is_not_for(house: House, body: dict[str, Any], method: str) -> None:
    flow = await house.apply(
        {"name": "m", "trigger": "manual", "options": {"collections": ["articles"]}, "operations": [ECHO]}
    )
    with pytest.raises(Forbidden):
        await house.call(flow, body, method=method)
    with pytest.raises(Forbidden):
        await house.call(flow, {"collection": "articles", "keys": [1]}, ctx=Context(house.services, PUBLIC))
    with pytest.raises(Forbidden):
        await house.call(flow, {"collection": "articles", "keys": [1]}, ctx=Context(house.services, STRANGER))


async def test_an_event_flow_cannot_be_called(house: House) -> None:
    options = {"type": "action", "scope": ["items.create"], "collections": ["articles"]}
    flow = await house.apply({"name": "e", "trigger": "event", "options": options, "operations": [ECHO]})
    with pytest.raises(Forbidden):
        await house.call(flow)


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
async def test_an_event_has_the_contracts_shape(house: House, verb: str) -> None:
    options = {"type": "action", "scope": [f"items.{verb}"], "collections": ["articles"]}
    key = await house.items("articles").create({"title": "before"})
    await house.apply({"name": "e", "trigger": "event", "options": options, "operations": [{"operation": "log"}]})
    articles = house.items("articles")
    if verb == "create":
        key = await articles.create({"title": "new"})
        shape = {"payload": {"title": "new"}, "key": key}
    elif verb == "update":
        await articles.update(key, {"title": "after"})
        shape = {"payload": {"title": "after"}, "keys": [key]}
    else:
        await articles.delete(key)
        shape = {"payload": [key], "keys": [key]}
    (run,) = await house.ended()
    found = (await house.services.flows.run(house.ctx, run["id"]))["trigger_data"]
    assert found == {"event": f"articles.items.{verb}", "collection": "articles", **shape}


async def test_events_of_other_collections_start_nothing(house: House) -> None:
    options = {"type": "action", "scope": ["items.create"], "collections": ["articles"]}
    await house.apply({"name": "e", "trigger": "event", "options": options, "operations": [{"operation": "log"}]})
    await house.items("notes").create({"text": "x"})
    assert await house.runs() == []


async def test_a_filter_changes_the_payload(house: House) -> None:
    change = {
        "operation": "transform",
        "id": "t",
        "options": {"json": {"title": "{{ $trigger.payload.title | upper }}", "content": "c"}},
    }
    await house.apply(filter_flow(change, **{"return": "$last"}))
    key = await house.items("articles").create({"title": "tea"})
    found = await house.items("articles").read_one(key)
    assert (found["title"], found["content"]) == ("TEA", "c")
    (run,) = await house.runs(steps=True)
    assert (run["status"], [step["key"] for step in run["steps"]]) == ("resolved", ["t"])


async def test_a_filter_that_returns_nothing_leaves_the_payload(house: House) -> None:
    await house.apply(filter_flow({"operation": "transform", "options": {"json": {"title": "no"}}}))
    key = await house.items("articles").create({"title": "tea"})
    assert (await house.items("articles").read_one(key))["title"] == "tea"


async def test_a_filter_blocks_a_change_and_its_run_is_kept(house: House) -> None:
    block = {
        "operation": "throw-error",
        "id": "no",
        "options": {"code": "NOPE", "status": 400, "message": "not allowed"},
    }
    await house.apply(filter_flow(block))
    with pytest.raises(OperationRejected, match="not allowed") as caught:
        await house.items("articles").create({"title": "tea"})
    assert (caught.value.data["code"], caught.value.data["status"]) == ("NOPE", 400)
    assert await house.rows(ARTICLES) == []
    (run,) = await house.ended()
    assert (run["status"], run["error"]["code"], len(run["steps"])) == ("rejected", "NOPE", 1)


async def test_what_a_filter_writes_goes_with_the_change(house: House) -> None:
    note = {
        "operation": "item-create",
        "id": "n",
        "options": {"collection": "notes", "payload": {"text": "{{ $trigger.title }}"}},
    }
    await house.apply(filter_flow(note))
    with pytest.raises(Undone):
        await house.create_and_undo("articles", {"title": "undone"})
    assert await house.rows(NOTES) == []
    await house.items("articles").create({"title": "kept"})
    assert [row.text for row in await house.rows(NOTES)] == ["kept"]
    runs = await house.ended(2)
    assert {run["status"] for run in runs} == {"resolved"}


async def test_a_failure_that_a_filter_handles_does_not_hurt_the_change(house: House) -> None:
    clash = {
        "operation": "item-create",
        "id": "n",
        "options": {"collection": "notes", "payload": {"id": 1}},
        "reject": "ok",
    }
    fine = {"operation": "transform", "id": "ok", "options": {"json": {"title": "handled"}}}
    await house.items("notes").create({"id": 1})
    await house.apply(filter_flow(clash, fine, **{"return": "ok"}))
    key = await house.items("articles").create({"title": "tea"})
    assert (await house.items("articles").read_one(key))["title"] == "handled"


async def test_flows_that_trigger_each_other_are_stopped(tables: str) -> None:
    options = {"type": "action", "scope": ["items.create"], "collections": ["notes"]}
    again = {
        "operation": "item-create",
        "options": {"collection": "notes", "payload": {"text": "again"}, "emitEvents": True},
    }
    async with open_house(tables, flows_max_depth=3) as house:
        await house.apply({"name": "loop", "trigger": "event", "options": options, "operations": [again]})
        await house.items("notes").create({"text": "first"})
        runs = await house.ended(4)
    assert [(run["depth"], run["status"]) for run in sorted(runs, key=lambda run: run["depth"])] == [
        (1, "resolved"), (2, "resolved"), (3, "resolved"), (4, "rejected"),
    ]  # fmt: skip
    assert [run["error"]["code"] for run in runs if run["depth"] == 4] == [LoopRefused.code]


async def test_a_called_flow_gives_its_result(house: House) -> None:
    double = {"operation": "transform", "id": "d", "options": {"json": "{{ $trigger.n * 2 }}"}}
    child = await house.apply({"name": "child", "trigger": "operation", "operations": [double]})
    calls = {"operation": "trigger", "options": {"flow": child, "payload": "{{ $trigger.body }}"}}
    parent = await house.apply(webhook(calls))
    assert await house.call(parent, {"n": 4}) == 8
    for mode in ("parallel", "serial", "batch"):
        await house.apply(webhook({**calls, "options": {**calls["options"], "iterationMode": mode, "batchSize": 2}}))  # type: ignore[dict-item]
        assert await house.call(parent, [{"n": 1}, {"n": 2}, {"n": 3}]) == [2, 4, 6]


async def test_calling_a_flow_that_is_not_there_gives_null(house: House) -> None:
    parent = await house.apply(webhook({"operation": "trigger", "options": {"flow": str(uuid4())}}))
    assert await house.call(parent) is None


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 2, 59, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_a_schedule_fires_at_its_times_and_once_for_all_processes(tables: str) -> None:
    clock = Clock()
    flow = {"name": "s", "trigger": "schedule", "options": {"cron": "0 3 * * *"}, "operations": [{"operation": "log"}]}
    async with (
        open_house(tables, clock=clock, dispatch=False) as one,
        open_house(tables, clock=clock, dispatch=False) as two,
    ):
        await one.apply(flow)
        assert await one.services.flows.tick() == 30
        assert await one.runs() == []
        clock.now += timedelta(seconds=31)
        await one.services.flows.tick()
        await two.services.flows.tick()
        await one.services.flows.tick()
        assert len(await one.runs()) == 1
        clock.now += timedelta(days=2)
        await two.services.flows.tick()
        assert len(await one.runs()) == 3


async def test_a_schedule_of_seconds_runs(house: House) -> None:
    both = {"operation": "transform", "id": "a", "options": {"json": ["{{ $accountability }}", "{{ $trigger }}"]}}
    options = {"cron": "* * * * * *"}
    flow_id = await house.apply({"name": "s", "trigger": "schedule", "options": options, "operations": [both]})
    run = (await house.ended())[-1]
    await house.services.flows.delete_flow(house.ctx, flow_id)
    assert (run["status"], run["steps"][0]["output"]) == ("resolved", [None, None])


async def test_a_flow_of_another_process_is_seen_within_a_second(tables: str) -> None:
    async with open_house(tables) as one, open_house(tables) as two:
        flow = await one.apply(webhook(ECHO))

        async def answer() -> Any:
            try:
                return await two.call(flow, {"x": 1})
            except Forbidden:
                return None

        assert await eventually(answer, 2) == {"x": 1}


async def test_secrets_are_not_kept_and_not_logged(
    tables: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", "env-secret")
    log = {"operation": "log", "id": "l", "options": {"message": "key {{ $env.MY_KEY }}"}, "resolve": "t"}
    keep = {
        "operation": "transform",
        "id": "t",
        "options": {"json": {"headers": {"Authorization": "header-secret"}, "k": "{{ $env.MY_KEY }}"}},
    }
    with caplog.at_level(logging.INFO, "datastead.flows"):
        async with open_house(tables, flows_env_allow_list=["MY_KEY"]) as house:
            flow = await house.apply(webhook(log, keep))
            answer = await house.call(flow, {"payload": {"password": "body-secret"}})
            shown = str(await house.services.flows.run(house.ctx, (await house.runs())[0]["id"]))
            stored = str([await house.rows(table) for table in (system.runs, system.steps)])
    assert answer == {"headers": {"Authorization": "header-secret"}, "k": "env-secret"}
    for secret in ("env-secret", "header-secret", "body-secret"):
        assert secret not in shown
        assert secret not in caplog.text
    assert "env-secret" not in stored
    assert "body-secret" not in stored


@pytest.mark.parametrize("accountability", ["activity", None])
async def test_a_flow_without_accountability_keeps_no_data(house: House, accountability: str | None) -> None:
    flow = await house.apply({**webhook(ECHO, **{"return": "$trigger.body"}), "accountability": accountability})
    assert await house.call(flow, {"private": 1}) == {"private": 1}
    run = await house.services.flows.run(house.ctx, (await house.runs())[0]["id"])
    (step,) = run["steps"]
    assert run["result"] is None
    assert (run["status"], run["trigger_data"], step["options"], step["output"]) == ("resolved", None, None, None)
