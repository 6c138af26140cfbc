"""What a call can be told beyond its messages: tiers, caches, parallel tools, effort; as each wire format has it."""

from collections.abc import Callable
from typing import Any

import pytest

from datastead.errors import UnsupportedCapability
from datastead.messages import (
    Attachment,
    Call,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
    assistant,
    user,
)
from tests.providers.documented import model, wire

TOOL = ToolDefinition("tide_table", "Tides of a port.", {"type": "object", "properties": {}})
TURNS = (user("When is high tide?"), assistant("In which port?"), user("Oban."))
GPT, GPT5, CHAT = (
    model("openai", "gpt-4.1"),
    model("openai", "gpt-5", reasoning=True),
    model("openai", "gpt-4o-mini", api="chat-completions"),
)
OTHER = model("openai-compatible", "llama3")
CLAUDE, OPUS = model("anthropic", "claude-sonnet-4-5", reasoning=True), model("anthropic", "claude-opus-4-7")
FLASH = model("google", "gemini-2.5-flash", reasoning=True)
ALL = [GPT, CHAT, OTHER, CLAUDE, FLASH]
by_wire = pytest.mark.parametrize("definition", ALL, ids=lambda each: f"{each.provider}-{each.model}")


def sent(definition: Any, **options: Any) -> Any:
    return wire(definition, Call(definition.model, options.pop("messages", TURNS), **options)).json


@pytest.mark.parametrize("tier", ["flex", "priority"])
@pytest.mark.parametrize(
    ("definition", "field"),
    [(GPT, "service_tier"), (CHAT, "service_tier"), (OTHER, "service_tier"), (FLASH, "serviceTier")],
)
def test_a_tier_is_asked_for_by_its_name(definition, field, tier):
    assert sent(definition, service_tier=tier)[field] == tier


def test_anthropics_priority_capacity_is_asked_for_as_auto():
    assert sent(CLAUDE, service_tier="priority")["service_tier"] == "auto"


@pytest.mark.parametrize(
    ("definition", "tier"), [*((each, "batch") for each in ALL), (CLAUDE, "flex")], ids=lambda each: str(each)[:40]
)
def test_a_tier_that_a_wire_format_has_not_is_refused_before_it_is_sent(definition, tier):
    with pytest.raises(UnsupportedCapability) as raised:
        sent(definition, service_tier=tier)
    assert raised.value.details["capability"] == "service_tier"
    assert raised.value.details["value"] == tier


@by_wire
def test_without_a_tier_none_is_named(definition):
    assert {"service_tier", "serviceTier"}.isdisjoint(sent(definition))


@pytest.mark.parametrize("base_url", ["https://api.openai.com/v1", "https://eu.api.openai.com/v1"])
@pytest.mark.parametrize("definition", [GPT, CHAT, OTHER])
def test_openai_is_told_that_the_tier_is_the_standard_one_as_a_project_may_stand_at_a_dearer_one(definition, base_url):
    def tier(**options: Any) -> Any:
        return wire(definition, Call(definition.model, TURNS, **options), base_url=base_url).json["service_tier"]

    assert tier() == "default"
    assert tier(service_tier="flex") == "flex"
    assert tier(provider_options={"service_tier": "auto"}) == "auto"


@pytest.mark.parametrize("base_url", ["https://api.openai.com.example.net/v1", "https://example.net/api.openai.com/v1"])
def test_others_are_told_no_tier_that_they_may_not_know(base_url):
    assert "service_tier" not in wire(GPT, Call(GPT.model, TURNS), base_url=base_url).json


@pytest.mark.parametrize("definition", [GPT, CHAT, OTHER])
@pytest.mark.parametrize("parallel", [True, False])
def test_openai_is_told_whether_to_call_tools_at_once(definition, parallel):
    assert sent(definition, tools=(TOOL,), parallel_tools=parallel)["parallel_tool_calls"] is parallel
    assert "parallel_tool_calls" not in sent(definition, parallel_tools=parallel)


@pytest.mark.parametrize(
    ("choice", "kind"),
    [("auto", {"type": "auto"}), ("required", {"type": "any"}), ("tide_table", {"type": "tool", "name": "tide_table"})],
)
def test_anthropic_is_told_so_with_the_tool_choice(choice, kind):
    asked = sent(CLAUDE, tools=(TOOL,), tool_choice=choice, parallel_tools=False)
    assert asked["tool_choice"] == {**kind, "disable_parallel_tool_use": True}


def test_anthropic_is_told_nothing_of_parallel_calls_where_none_may_be_made():
    assert sent(CLAUDE, tools=(TOOL,), tool_choice="none", parallel_tools=False)["tool_choice"] == {"type": "none"}


def test_google_cannot_be_kept_from_parallel_calls():
    with pytest.raises(UnsupportedCapability) as raised:
        sent(FLASH, tools=(TOOL,), parallel_tools=False)
    assert raised.value.details["capability"] == "parallel_tools"
    assert sent(FLASH, tools=(TOOL,), parallel_tools=True)["tools"]


def marks(body: Any) -> list[Any]:
    blocks = [
        *body.get("tools", []),
        *body.get("system", []),
        *(b for turn in body["messages"] for b in turn["content"]),
    ]
    return [block["cache_control"] for block in blocks if "cache_control" in block]


@pytest.mark.parametrize(
    ("prompt_cache", "mark"), [("5m", {"type": "ephemeral"}), ("1h", {"type": "ephemeral", "ttl": "1h"})]
)
def test_anthropic_keeps_tools_system_and_the_last_two_turns(prompt_cache, mark):
    many = (*TURNS, assistant("At noon."), user("And low tide?"))
    body = sent(CLAUDE, messages=many, system="Be brief.", tools=(TOOL, TOOL), prompt_cache=prompt_cache)
    assert marks(body) == [mark] * 4
    assert ["cache_control" in tool for tool in body["tools"]] == [False, True]
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": mark}]
    users = [turn for turn in body["messages"] if turn["role"] == "user"]
    assert ["cache_control" in turn["content"][-1] for turn in users] == [False, True, True]


def test_anthropic_gets_at_most_four_marks_with_those_of_the_callers_own():
    many = (*TURNS, assistant("At noon."), user("And low tide?"))
    own = {"cache_control": {"type": "ephemeral"}}
    body = sent(CLAUDE, messages=many, system="Be brief.", tools=(TOOL,), prompt_cache="5m", provider_options=own)
    assert len(marks(body)) + 1 == 4


def test_a_short_call_to_anthropic_is_marked_once():
    assert marks(sent(CLAUDE, messages=(user("Hi"),), prompt_cache="5m")) == [{"type": "ephemeral"}]


def test_anthropics_thinking_is_never_marked():
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    turn = Message("assistant", (Reasoning("Hm.", thinking), ToolCall("c1", "tide_table", {})))
    result = Message("tool", (ToolResult("c1", "tide_table", "noon"),))
    body = sent(CLAUDE, messages=(user("When?"), turn, result), tools=(TOOL,), prompt_cache="5m")
    assert body["messages"][1]["content"][0] == thinking
    assert body["messages"][2]["content"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("definition", "prompt_cache", "retention"),
    [(GPT, "5m", None), (GPT, "1h", "24h"), (GPT5, "1h", "24h"), (CHAT, "1h", None)],
)
def test_openai_keeps_every_prompt_and_is_told_to_keep_it_for_long(definition, prompt_cache, retention):
    body = sent(definition, system="Be brief.", prompt_cache=prompt_cache)
    again = sent(definition, system="Be brief.", messages=(user("Another question"),), prompt_cache=prompt_cache)
    assert body.get("prompt_cache_retention") == retention
    assert body["prompt_cache_key"] == again["prompt_cache_key"]
    assert (
        body["prompt_cache_key"] != sent(definition, system="Be long.", prompt_cache=prompt_cache)["prompt_cache_key"]
    )


@pytest.mark.parametrize("definition", [OTHER, FLASH])
def test_where_caching_is_implicit_nothing_is_said(definition):
    assert sent(definition, prompt_cache="1h") == sent(definition)


def at_openai(definition: Any) -> Callable[[Any], Any]:
    return lambda body: body["reasoning"]["effort"] if definition.api is None else body["reasoning_effort"]


@pytest.mark.parametrize(
    ("name", "effort", "said"),
    [
        ("gpt-5", "minimal", "minimal"),
        ("gpt-5-mini", "minimal", "minimal"),
        ("gpt-5.1", "minimal", "low"),
        ("o3", "minimal", "low"),
        ("gpt-5.1", "high", "high"),
    ],
)
@pytest.mark.parametrize("api", [None, "chat-completions"])
def test_openais_efforts_are_those_that_the_model_has(name, effort, said, api):
    definition = model("openai", name, reasoning=True, api=api)
    assert at_openai(definition)(sent(definition, effort=effort)) == said


@pytest.mark.parametrize(("budget", "said"), [(1_000, "low"), (8_000, "medium"), (30_000, "high")])
def test_a_budget_is_an_effort_where_there_are_no_budgets(budget, said):
    assert sent(GPT5, budget_tokens=budget)["reasoning"]["effort"] == said
    assert sent(OTHER, budget_tokens=budget)["reasoning_effort"] == said
    assert sent(OPUS, budget_tokens=budget)["output_config"] == {"effort": said}


@pytest.mark.parametrize(
    ("name", "effort", "level"),
    [
        ("gemini-3-pro-preview", "medium", "high"),
        ("gemini-3.1-pro-preview", "medium", "medium"),
        ("gemini-3.1-pro-preview", "minimal", "low"),
        ("gemini-3.5-flash", "minimal", "minimal"),
    ],
)
def test_googles_levels_are_those_that_the_model_has(name, effort, level):
    body = sent(model("google", name, reasoning=True), effort=effort)
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingLevel": level}


@pytest.mark.parametrize("definition", [CLAUDE, OPUS])
def test_claude_cannot_be_made_to_call_a_tool_while_it_reasons(definition):
    with pytest.raises(UnsupportedCapability) as raised:
        sent(definition, tools=(TOOL,), tool_choice="required", enable_reasoning=True)
    assert raised.value.details["capability"] == "tool_choice"


def with_call(opaque: Any, text: str = "") -> tuple[Message, ...]:
    parts = (Reasoning("Hm.", opaque), *([Text(text)] if text else []), ToolCall("c1", "tide_table", {}))
    return user("When?"), Message("assistant", parts), Message("tool", (ToolResult("c1", "tide_table", "noon"),))


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_that_led_to_a_call_goes_back_in_the_field_it_came_in(field):
    body = sent(OTHER, messages=with_call({field: "Hm."}), tools=(TOOL,))
    assert body["messages"][1][field] == "Hm."


def test_reasoning_that_led_to_no_call_stays_here():
    said = Message("assistant", (Reasoning("Hm.", {"reasoning_content": "Hm."}), Text("Noon.")))
    body = sent(OTHER, messages=(user("When?"), said, user("Why?")))
    assert body["messages"][1] == {"role": "assistant", "content": "Noon."}


def test_openrouters_details_always_go_back_as_they_came():
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "s", "index": 0}]
    said = Message("assistant", (Reasoning("Hm.", {"reasoning_details": details}), Text("Noon.")))
    body = sent(OTHER, messages=(user("When?"), said, user("Why?")))
    assert body["messages"][1] == {"role": "assistant", "content": "Noon.", "reasoning_details": details}


@pytest.mark.parametrize(
    ("definition", "attachment"),
    [
        (GPT, Attachment("audio/wav", data=b"RIFF")),
        (CHAT, Attachment("application/pdf", url="https://x/y.pdf")),
        (CHAT, Attachment("audio/ogg", data=b"Ogg")),
        (CHAT, Attachment("image/png", file_id="file-1")),
        (CLAUDE, Attachment("audio/wav", data=b"RIFF")),
        (CLAUDE, Attachment("text/plain", url="https://x/y.txt")),
    ],
    ids=lambda each: str(each)[:60],
)
def test_a_file_in_a_form_that_the_wire_has_no_place_for_is_refused(definition, attachment):
    with pytest.raises(UnsupportedCapability):
        sent(definition, messages=(Message("user", (attachment,)),))


@pytest.mark.parametrize(
    ("definition", "attachment", "part"),
    [
        (
            CHAT,
            Attachment("audio/mpeg", data=b"ID3"),
            {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        ),
        (CHAT, Attachment("application/pdf", file_id="file-1"), {"type": "file", "file": {"file_id": "file-1"}}),
        (
            GPT,
            Attachment("application/pdf", url="https://x/y.pdf"),
            {"type": "input_file", "file_url": "https://x/y.pdf"},
        ),
        (
            GPT,
            Attachment("image/png", file_id="file-1"),
            {"type": "input_image", "detail": "auto", "file_id": "file-1"},
        ),
        (
            GPT,
            Attachment("application/json", data=b"{}", filename="a.json"),
            {"type": "input_text", "text": "a.json:\n{}"},
        ),
        (
            CLAUDE,
            Attachment("application/pdf", url="https://x/y.pdf"),
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
        ),
        (CLAUDE, Attachment("application/json", data=b"{}"), {"type": "text", "text": "{}"}),
        (FLASH, Attachment("audio/wav", data=b"RIFF"), {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}),
        (FLASH, Attachment("text/csv", data=b"a,b", filename="t.csv"), {"text": "t.csv:\na,b"}),
    ],
    ids=lambda each: str(each)[:60],
)
def test_a_file_stands_where_the_wire_has_a_place_for_it(definition, attachment, part):
    body = sent(definition, messages=(Message("user", (attachment,)),))
    turn = (body.get("messages") or body.get("input") or body.get("contents"))[0]
    assert (turn.get("content") or turn.get("parts")) == [part]
