"""`/flows`, `/operations` and `/flows/runs`: what Directus's clients send, and what they get."""

import time
from typing import Any
from uuid import uuid4

import pytest

from .conftest import Server


@pytest.fixture
def webhook(server: Server) -> str:
    """A flow that answers a GET with what its one operation makes of the query."""
    flow = server.post("/flows", {"name": f"Hello {uuid4()}", "trigger": "webhook", "options": {"method": "GET"}}).data[
        "id"
    ]
    operation = {
        "flow": flow, "key": "hello", "name": "Hello", "type": "transform", "position_x": 19, "position_y": 1,
        "options": {"json": {"q": "{{$trigger.query.name}}", "constant": 1}},
    }  # fmt: skip
    made = server.post("/operations", operation)
    assert made.status == 200, made.body
    server.send("PATCH", f"/flows/{flow}", {"operation": made.data["id"]})
    return str(flow)


def test_a_flow_has_the_contracts_shape(server: Server, webhook: str) -> None:
    flow = server.get(f"/flows/{webhook}").data
    assert {"id", "name", "icon", "color", "description", "status", "trigger", "accountability", "options", "operation",
            "date_created", "user_created"} <= set(flow)  # fmt: skip
    assert (flow["status"], flow["trigger"], flow["options"]) == ("active", "webhook", {"method": "GET"})
    assert flow["operations"] == [flow["operation"]]
    operation = server.get(f"/operations/{flow['operation']}").data
    assert (operation["flow"], operation["key"], operation["resolve"]) == (webhook, "hello", None)
    assert webhook in {entry["id"] for entry in server.get("/flows?limit=-1&fields=id").data}


def test_a_flows_operations_are_read_with_it(server: Server, webhook: str) -> None:
    flow = server.get(f"/flows/{webhook}?fields=name,operations.key").data
    assert [operation["key"] for operation in flow["operations"]] == ["hello"]
    (listed,) = server.get(f'/flows?fields=*.*&filter={{"id":{{"_eq":"{webhook}"}}}}').data
    assert listed["operations"][0]["options"]["json"]["constant"] == 1
    assert "operations" not in server.get(f"/flows/{webhook}?fields=name").data


def test_a_webhook_answers_what_the_flow_returns_to_anybody(server: Server, webhook: str) -> None:
    answer = server.public.get(f"/flows/trigger/{webhook}?name=Zoe")
    assert (answer.status, answer.json) == (200, {"q": "Zoe", "constant": 1})


def test_a_webhook_with_another_method_and_an_unknown_flow_look_alike(server: Server, webhook: str) -> None:
    assert server.public.post(f"/flows/trigger/{webhook}", {"x": 1}).code == "FORBIDDEN"
    assert server.public.get(f"/flows/trigger/{uuid4()}").code == "FORBIDDEN"
    assert server.public.get("/flows/trigger/nope").code == "FORBIDDEN"


@pytest.mark.parametrize(("fields", "status"), [(1000, 403), (1001, 400)])
def test_a_form_of_too_many_fields_is_refused(server: Server, webhook: str, fields: int, status: int) -> None:
    form = b"&".join(b"a%d=1" % number for number in range(fields))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.public.send("POST", f"/flows/trigger/{webhook}", raw=form, headers=kind).status == status


def test_a_run_is_seen_with_its_steps(server: Server, webhook: str) -> None:
    server.public.get(f"/flows/trigger/{webhook}?name=Zoe")
    (run,) = server.get(f"/flows/runs?flow={webhook}").data
    assert (run["flow"], run["status"]) == (webhook, "resolved")
    (step,) = server.get(f"/flows/runs/{run['id']}").data["steps"]
    assert (step["key"], step["type"], step["status"]) == ("hello", "transform", "resolve")


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "limit=5000", "offset=-1", "steps=maybe"])
def test_a_wrong_query_for_runs_is_refused(server: Server, query: str) -> None:
    answer = server.get(f"/flows/runs?{query}")
    assert (answer.status, answer.code) == (400, "INVALID_QUERY")


def test_an_operation_is_changed_and_removed(server: Server, webhook: str) -> None:
    operation = server.get(f"/flows/{webhook}").data["operation"]
    server.send("PATCH", f"/operations/{operation}", {"options": {"json": {"changed": True}}})
    assert server.public.get(f"/flows/trigger/{webhook}").json == {"changed": True}
    assert server.send("DELETE", f"/operations/{operation}").status == 204
    assert server.get(f"/operations/{operation}").code == "FORBIDDEN"


def test_a_flow_is_removed_with_its_operations(server: Server, webhook: str) -> None:
    operation = server.get(f"/flows/{webhook}").data["operation"]
    assert server.send("DELETE", f"/flows/{webhook}").status == 204
    assert server.get(f"/flows/{webhook}").code == "FORBIDDEN"
    assert server.get(f"/operations/{operation}").code == "FORBIDDEN"


def applied(**changes: Any) -> dict[str, Any]:
    """A flow in the shape of the AI guide."""
    operation = {"id": "only", "operation": "transform", "options": {"json": {"a": 1}}}
    return {"name": f"Applied {uuid4()}", "trigger": "webhook", "options": {}, "operations": [operation], **changes}


def test_a_whole_flow_is_applied_and_applied_again(server: Server) -> None:
    document = applied()
    first = server.post("/flows/apply", document)
    assert first.status == 200, first.body
    assert server.post("/flows/apply", document).data["id"] == first.data["id"]
    assert server.public.get(f"/flows/trigger/{first.data['id']}").json == {"a": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"operations": [{"operation": "no-such-thing", "options": {}}]},
        {"operations": [{"id": "a", "operation": "log", "options": {"message": "x"}, "resolve": "b"}]},
        {"operations": [{"id": "a", "operation": "log", "options": {"message": "x"}, "resolve": "a"}]},
        {"trigger": "schedule", "options": {"cron": "every day"}},
        {"trigger": "no-such-thing"},
        {"operations": [{"operation": "log", "options": {"message": "{{ $trigger.x | }}"}}]},
        {"operations": "log"},
        {"operations": ["log"]},
    ],
)
def test_a_malformed_flow_is_refused_and_nothing_is_written(server: Server, changes: dict[str, Any]) -> None:
    document = applied(**changes)
    answer = server.post("/flows/apply", document)
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")
    assert document["name"] not in {flow["name"] for flow in server.get("/flows?limit=-1").data}


def test_an_item_that_is_created_starts_a_flow(server: Server, articles: str) -> None:
    made = server.post("/flows/apply", applied(
        trigger="event", options={"type": "action", "scope": ["items.create"], "collections": [articles]},
        operations=[{"operation": "item-update", "options": {
            "collection": articles, "key": "{{$trigger.id}}", "payload": {"slug": "of {{$trigger.title}}"}}}],
    ))  # fmt: skip
    assert made.status == 200, made.body
    server.post(f"/items/{articles}", {"title": "First"})
    deadline = time.monotonic() + 20
    while server.get(f"/items/{articles}/1").data["slug"] is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.get(f"/items/{articles}/1").data["slug"] == "of First"
