"""Flows as they are written, and what is wrong with them."""

from typing import Any

import pytest

from datastead.errors import InvalidFlow, TemplateError
from datastead.extensions import Registry
from datastead.flows.document import from_document, read_document
from datastead.flows.model import FlowDefinition, check
from datastead.flows.template import Templates

REGISTRY = Registry(("datastead.builtin",))
TEMPLATES = Templates(REGISTRY)
EVENT = {"type": "action", "scope": ["items.create"], "collections": ["articles"]}
GUIDE = """
{
  trigger : 'event' ,
  options : {
    type : 'action' ,
    scope : [ 'items.create' ],
    collections : [ 'articles' ]
  },
  operations : [
    {
      operation: 'ai-generate' ,
      options: {
        provider: 'openai' ,
        model: 'gpt-4.1' ,
        prompt: 'Describe {{$trigger.title}} \\n\\n Text: {{$trigger.content}}' ,
        maxTokens: 160 ,
        temperature: 0.7
      },
      resolve: 'update-meta'
    },
    {
      id: 'update-meta' ,
      operation: 'item-update' ,
      options: {
        collection: 'articles' ,
        key: '{{$trigger.id}}' ,
        payload: {
          meta_description: '{{$last.content}}'
        }
      }
    }
  ]
}
"""


def checked(document: dict[str, Any]) -> FlowDefinition:
    flow = from_document(document)
    check(flow, REGISTRY, TEMPLATES)
    return flow


def flow_of(*operations: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "f", "trigger": "event", "options": EVENT, "operations": list(operations), **fields}


def transform(key: str, **fields: Any) -> dict[str, Any]:
    return {"id": key, "operation": "transform", "options": {"json": 1}, **fields}


def test_the_guides_flow_is_read_as_it_is_written() -> None:
    flow = checked(read_document(GUIDE))
    first, second = flow.operations
    assert (flow.trigger, flow.operation, flow.status) == ("event", first.id, "active")
    assert (first.type, first.resolve, first.reject) == ("ai-generate", second.id, None)
    assert first.options["prompt"] == "Describe {{$trigger.title}} \n\n Text: {{$trigger.content}}"
    assert (second.key, second.options["payload"]) == ("update-meta", {"meta_description": "{{$last.content}}"})


def test_the_same_document_has_the_same_ids() -> None:
    assert from_document(read_document(GUIDE)) == from_document(read_document(GUIDE))


def test_yaml_and_json_are_read_alike() -> None:
    as_yaml = "name: f\ntrigger: schedule\noptions: {cron: '0 3 * * *'}\noperations:\n  - operation: log\n"
    as_json = '{"name":"f","trigger":"schedule","options":{"cron":"0 3 * * *"},"operations":[{"operation":"log"}]}'
    assert from_document(read_document(as_yaml)) == from_document(read_document(as_json))


def test_backslashes_in_yaml_stay_as_they_are() -> None:
    text = "name: f\ntrigger: operation\noperations:\n  - {operation: log, options: {message: 'a\\nb'}}\n"
    assert read_document(text)["operations"][0]["options"] == {"message": "a\\nb"}


def test_directus_rows_are_read_with_their_ids() -> None:
    one, two = "836afe6d-ae72-46c2-87c4-b84bfebeabc4", "9afdc632-af77-4970-843a-b5ee77aa8759"
    flow = checked(
        {
            "id": "ba643525-bc08-4913-a9ac-7e8e7a96ca40", "name": "Rows", "status": "inactive", "trigger": "webhook",
            "options": {"method": "GET"}, "operation": one, "accountability": None,
            "operations": [
                {"id": two, "key": "second", "type": "log", "options": {}, "resolve": None, "reject": None},
                {"id": one, "key": "first", "type": "transform", "options": {"json": {}}, "resolve": two},
            ],
        }
    )  # fmt: skip
    assert (flow.id, flow.operation) == ("ba643525-bc08-4913-a9ac-7e8e7a96ca40", one)
    assert (flow.accountability, flow.is_active) == (None, False)
    found = flow.by_id(one)
    assert found is not None
    assert (found.key, found.resolve) == ("first", two)


@pytest.mark.parametrize("text", ["- a\n- b", "just text", "{a: [", "key: value: more", "\x00"])
def test_a_file_that_is_no_flow_is_refused(text: str) -> None:
    with pytest.raises(InvalidFlow):
        from_document(read_document(text))


@pytest.mark.parametrize(
    ("document", "details"),
    [
        (flow_of(), {"option": "operations"}),
        (flow_of(transform("a"), trigger="moon"), {"reason": "unknown trigger", "value": "moon"}),
        (flow_of(transform("a"), trigger=None), {"option": "trigger"}),
        (flow_of({"operation": "fly"}), {"operation": "fly", "value": "fly"}),
        (flow_of({"id": "a"}), {"option": "operation"}),
        (flow_of(transform("a", resolve="gone")), {"operation": "a", "option": "resolve", "value": "gone"}),
        (flow_of(transform("a", reject="gone")), {"operation": "a", "option": "reject", "value": "gone"}),
        (flow_of(transform("a", resolve="a")), {"operation": "a", "value": "a"}),
        (flow_of(transform("a", resolve="b"), transform("b", reject="a")), {"operation": "b", "value": "a"}),
        (flow_of(transform("a"), transform("a")), {"option": "key", "value": "a"}),
        (
            flow_of(transform("a", resolve="c", reject="b"), transform("b", resolve="c"), transform("c")),
            {"operation": "b", "option": "resolve", "value": "c"},
        ),
        (flow_of(transform("a"), trigger="schedule", options={"cron": "61 * * * *"}), {"option": "cron"}),
        (flow_of(transform("a"), trigger="schedule", options={}), {"option": "cron"}),
        (flow_of(transform("a"), options={**EVENT, "scope": ["items.explode"]}), {"value": "items.explode"}),
        (flow_of(transform("a"), options={**EVENT, "collections": []}), {"option": "collections"}),
        (flow_of(transform("a"), options={**EVENT, "type": "sideways"}), {"option": "type", "value": "sideways"}),
        (flow_of({"operation": "ai-generate", "options": {"prompt": "x"}}), {"option": "model"}),
        (flow_of({"operation": "ai-generate", "options": {"model": "x"}}), {"option": "prompt"}),
        (flow_of({"operation": "ai-generate", "options": {"model": "m", "prompt": "p", "maxTokens": -1}}),
         {"operation": "ai_generate", "option": "maxTokens", "value": "-1"}),
        (flow_of({"operation": "ai-generate", "options": {"model": "m", "prompt": "p"}},
                 options={**EVENT, "type": "filter"}), {"operation": "ai_generate"}),
        (flow_of({"operation": "item-update", "options": {}}), {"option": "collection"}),
        (flow_of(transform("a"), status="maybe"), {"option": "status"}),
        (flow_of(transform("a"), accountability="some"), {"option": "accountability"}),
        (flow_of(transform("a"), operation="gone"), {"option": "operation", "value": "gone"}),
        (flow_of(transform("a", options=[1])), {"option": "options"}),
    ],
)  # fmt: skip
def test_a_wrong_flow_is_refused_by_what_is_wrong(document: dict[str, Any], details: dict[str, Any]) -> None:
    with pytest.raises(InvalidFlow) as caught:
        checked(document)
    assert details.items() <= caught.value.details.items()
    assert caught.value.status == 400


def test_a_cycle_is_named() -> None:
    with pytest.raises(InvalidFlow, match="`a` -> `b` -> `c` -> `a`"):
        checked(flow_of(transform("a", resolve="b"), transform("b", resolve="c"), transform("c", resolve="a")))


def test_an_unknown_operation_is_answered_with_those_there_are() -> None:
    with pytest.raises(InvalidFlow, match=r"`ai-generate`.*`item-update`"):
        checked(flow_of({"operation": "fly"}))


def test_a_bad_template_is_named_by_operation_option_and_position() -> None:
    document = flow_of(transform("a", options={"json": {"deep": ["ok", "x\n{{ $trigger | shout }}"]}}))
    with pytest.raises(TemplateError) as caught:
        checked(document)
    found = {name: caught.value.details[name] for name in ("operation", "option", "line", "column")}
    assert found == {"operation": "a", "option": "json.deep[1]", "line": 2, "column": 1}


def test_options_that_hold_templates_are_checked_when_they_are_rendered() -> None:
    options = {"model": "m", "prompt": "p", "maxTokens": "{{ $trigger.body.limit }}"}
    assert checked(flow_of({"operation": "ai-generate", "options": options})).operations


def test_an_operation_can_be_reached_by_one_resolve_and_one_reject() -> None:
    flow = flow_of(
        transform("a", resolve="b", reject="c"), transform("b", reject="d"), transform("c", resolve="d"), transform("d")
    )
    assert checked(flow).operations


def test_a_definition_comes_back_from_json() -> None:
    flow = checked(read_document(GUIDE))
    assert FlowDefinition.from_json(flow.to_json()).to_json() == flow.to_json()
