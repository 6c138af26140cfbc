"""The whole request that each mapping makes of a call."""

from dataclasses import replace

import pytest

from datastead.errors import InvalidRequest, UnsupportedCapability
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

TOOL = ToolDefinition("tide_table", "Tides of a port.", {"type": "object", "properties": {"port": {"type": "string"}}})
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["title", "tags"],
}
CLOSED = {**SCHEMA, "additionalProperties": False}
OPTIONAL = {**SCHEMA, "required": ["title"]}
TURNS = (user("When is high tide?"), assistant("In which port?"), user("Oban."))
PNG = Attachment("image/png", data=b"\x89PNG")
PDF = Attachment("application/pdf", data=b"%PDF", filename="tides.pdf")
NOTE = Attachment("text/plain", data=b"neap", filename="note.txt")
FILES = Message("user", (Text("Look."), PNG, PDF, NOTE))
GPT, GPT5 = model("openai", "gpt-4.1"), model("openai", "gpt-5", reasoning=True)
OTHER = model("openai-compatible", "llama3")
SONNET, OPUS = model("anthropic", "claude-sonnet-4-5", reasoning=True), model("anthropic", "claude-opus-4-7")
FLASH, PRO = model("google", "gemini-2.5-flash"), model("google", "gemini-3-pro-preview", reasoning=True)


def full(name: str, **changes: object) -> Call:
    base = Call(
        name,
        TURNS,
        system="Be brief.",
        max_tokens=200,
        temperature=0.2,
        top_p=0.9,
        tools=(TOOL,),
        tool_choice="required",
        schema=SCHEMA,
        stream=True,
    )
    return replace(base, **changes)


def tool_turn(opaque=None, reasoning=None) -> tuple[Message, ...]:
    call = ToolCall("c1", "tide_table", {"port": "Oban"}, opaque)
    parts = (Reasoning("Hm.", reasoning), call) if reasoning else (call,)
    result = ToolResult("c1", "tide_table", '{"high": "06:10"}')
    return (user("When?"), Message("assistant", parts), Message("tool", (result,)))


def test_openai_asks_by_responses():
    sent = wire(GPT, full("gpt-4.1"), base_url="https://api.openai.com/v1")
    assert sent.url == "https://api.openai.com/v1/responses"
    assert sent.headers == {"content-type": "application/json", "authorization": "Bearer key"}
    assert sent.json == {
        "model": "gpt-4.1",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "When is high tide?"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "In which port?"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "Oban."}]},
        ],
        "max_output_tokens": 200,
        "temperature": 0.2,
        "top_p": 0.9,
        "tools": [
            {
                "type": "function",
                "name": "tide_table",
                "description": "Tides of a port.",
                "parameters": TOOL.input_schema,
                "strict": False,
            }
        ],
        "tool_choice": "required",
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": CLOSED, "strict": True}},
        "store": False,
        "stream": True,
        "service_tier": "default",
    }


def test_openai_reasons_without_a_temperature_and_gets_its_reasoning_back_encrypted():
    sent = wire(GPT5, Call("gpt-5", (user("Why?"),), temperature=0.2, max_tokens=99, enable_reasoning=True))
    assert sent.json == {
        "model": "gpt-5",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Why?"}]}],
        "max_output_tokens": 99,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }


def test_openai_gets_back_the_reasoning_item_before_its_call():
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    sent = wire(GPT5, Call("gpt-5", tool_turn(reasoning=item), tools=(TOOL,)))
    assert sent.json["input"] == [
        {"role": "user", "content": [{"type": "input_text", "text": "When?"}]},
        item,
        {"type": "function_call", "call_id": "c1", "name": "tide_table", "arguments": '{"port": "Oban"}'},
        {"type": "function_call_output", "call_id": "c1", "output": '{"high": "06:10"}'},
    ]


def test_openai_takes_files_as_bytes_urls_and_ids():
    more = (Attachment("image/png", url="https://x/y.png"), Attachment("application/pdf", file_id="file-1"))
    sent = wire(GPT, Call("gpt-4.1", (FILES, Message("user", more))))
    assert sent.json["input"][0]["content"] == [
        {"type": "input_text", "text": "Look."},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBORw=="},
        {"type": "input_file", "filename": "tides.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"type": "input_text", "text": "note.txt:\nneap"},
    ]
    assert sent.json["input"][1]["content"] == [
        {"type": "input_image", "detail": "auto", "image_url": "https://x/y.png"},
        {"type": "input_file", "file_id": "file-1"},
    ]


def test_a_schema_with_optional_properties_is_not_sent_as_strict():
    sent = wire(GPT, Call("gpt-4.1", TURNS, schema=OPTIONAL))
    assert sent.json["text"]["format"]["strict"] is False


def test_openai_with_stop_sequences_goes_to_chat_completions():
    sent = wire(GPT, Call("gpt-4.1", (user("Count."),), stop=("4",)))
    assert sent.url.endswith("/chat/completions")
    assert sent.json == {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Count."}], "stop": ["4"]}


def test_a_reasoning_model_of_openai_refuses_stop_sequences():
    with pytest.raises(UnsupportedCapability):
        wire(GPT5, Call("gpt-5", TURNS, stop=("4",)))


def test_a_models_api_chooses_the_wire_format():
    by_chat = wire(replace(GPT5, api="chat-completions"), Call("gpt-5", (user("Why?"),), max_tokens=99, effort="low"))
    assert by_chat.url == "https://host/chat/completions"
    assert by_chat.json == {
        "model": "gpt-5",
        "messages": [{"role": "user", "content": "Why?"}],
        "max_completion_tokens": 99,
        "reasoning_effort": "low",
    }
    assert wire(replace(OTHER, api="responses"), Call("llama3", TURNS)).url == "https://host/responses"


def test_a_compatible_endpoint_is_asked_by_chat_completions_and_needs_no_key():
    sent = wire(OTHER, full("llama3", stop=("END",), tool_choice="tide_table"), base_url="http://host/v1", key=None)
    assert sent.url == "http://host/v1/chat/completions"
    assert sent.headers == {"content-type": "application/json"}
    function = {"name": "tide_table", "description": "Tides of a port.", "parameters": TOOL.input_schema}
    assert sent.json == {
        "model": "llama3",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "When is high tide?"},
            {"role": "assistant", "content": "In which port?"},
            {"role": "user", "content": "Oban."},
        ],
        "max_tokens": 200,
        "temperature": 0.2,
        "top_p": 0.9,
        "stop": ["END"],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "tide_table"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": CLOSED, "strict": True},
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_compatible_endpoint_gets_tool_results_and_files():
    google = {"extra_content": {"google": {"thought_signature": "s"}}}
    sent = wire(OTHER, Call("llama3", (*tool_turn(google), FILES)))
    assert sent.json["messages"] == [
        {"role": "user", "content": "When?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "tide_table", "arguments": '{"port": "Oban"}'},
                    **google,
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"high": "06:10"}'},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
                {
                    "type": "file",
                    "file": {"filename": "tides.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
                },
                {"type": "text", "text": "note.txt:\nneap"},
            ],
        },
    ]


def test_anthropic_is_asked_by_messages():
    sent = wire(SONNET, full("claude-sonnet-4-5", stop=("END",)), base_url="https://api.anthropic.com")
    assert sent.url == "https://api.anthropic.com/v1/messages"
    assert sent.headers == {
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        "x-api-key": "key",
    }
    assert sent.json == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 200,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "When is high tide?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "In which port?"}]},
            {"role": "user", "content": [{"type": "text", "text": "Oban."}]},
        ],
        "temperature": 0.2,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "output_config": {"format": {"type": "json_schema", "schema": CLOSED}},
        "tools": [
            {"name": "tide_table", "description": "Tides of a port.", "input_schema": TOOL.input_schema},
        ],
        "tool_choice": {"type": "any"},
        "stream": True,
    }


@pytest.mark.parametrize(
    ("options", "cap", "thinking"),
    [
        ({"enable_reasoning": True}, 16_384, {"type": "enabled", "budget_tokens": 8_192}),
        ({"budget_tokens": 5_000}, 16_384, {"type": "enabled", "budget_tokens": 5_000}),
        ({"effort": "high", "max_tokens": 4_000}, 4_000, {"type": "enabled", "budget_tokens": 3_000}),
        ({"enable_reasoning": True, "max_tokens": 1_100}, 1_100, {"type": "enabled", "budget_tokens": 1_024}),
    ],
)
def test_anthropics_thinking_budget_stays_below_the_cap_and_takes_no_temperature(options, cap, thinking):
    sent = wire(SONNET, Call("claude-sonnet-4-5", (user("Why?"),), temperature=0.2, **options))
    assert sent.json == {
        "model": "claude-sonnet-4-5",
        "max_tokens": cap,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}],
        "thinking": thinking,
    }


def test_a_cap_too_small_to_think_within_is_refused():
    with pytest.raises(InvalidRequest):
        wire(SONNET, Call("claude-sonnet-4-5", TURNS, max_tokens=500, enable_reasoning=True))


def test_the_newest_claude_models_think_as_they_see_fit():
    sent = wire(OPUS, Call("claude-opus-4-7", (user("Why?"),), temperature=0.2, enable_reasoning=True, effort="high"))
    assert sent.json == {
        "model": "claude-opus-4-7",
        "max_tokens": 16_384,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}],
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "high"},
    }


def test_anthropic_gets_tool_results_first_in_the_next_turn_and_thinking_as_it_came():
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    messages = (*tool_turn(reasoning=thinking), user("And low tide?"))
    assert wire(SONNET, Call("claude-sonnet-4-5", messages)).json["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "When?"}]},
        {
            "role": "assistant",
            "content": [
                thinking,
                {"type": "tool_use", "id": "c1", "name": "tide_table", "input": {"port": "Oban"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": '{"high": "06:10"}'},
                {"type": "text", "text": "And low tide?"},
            ],
        },
    ]


def test_anthropic_takes_files_as_bytes_urls_and_ids():
    more = (Attachment("image/png", url="https://x/y.png"), Attachment("application/pdf", file_id="file_1"))
    sent = wire(SONNET, Call("claude-sonnet-4-5", (Message("user", (*FILES.parts, *more)),)))
    assert sent.headers["anthropic-beta"] == "files-api-2025-04-14"
    assert sent.json["messages"][0]["content"] == [
        {"type": "text", "text": "Look."},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            "title": "tides.pdf",
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "neap"},
            "title": "note.txt",
        },
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    ]


def test_google_is_asked_with_the_key_in_a_header():
    sent = wire(FLASH, full("gemini-2.5-flash", stop=("END",), tool_choice="tide_table"))
    assert sent.url == "https://host/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert sent.headers == {"content-type": "application/json", "x-goog-api-key": "key"}
    assert sent.json == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "When is high tide?"}]},
            {"role": "model", "parts": [{"text": "In which port?"}]},
            {"role": "user", "parts": [{"text": "Oban."}]},
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "tide_table",
                        "description": "Tides of a port.",
                        "parametersJsonSchema": TOOL.input_schema,
                    }
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["tide_table"]}},
        "generationConfig": {
            "maxOutputTokens": 200,
            "temperature": 0.2,
            "topP": 0.9,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
        },
    }


@pytest.mark.parametrize(
    ("definition", "options", "thinking"),
    [
        (FLASH, {"enable_reasoning": True}, {"includeThoughts": True, "thinkingBudget": -1}),
        (FLASH, {"effort": "low"}, {"thinkingBudget": 1_024}),
        (FLASH, {"enable_reasoning": True, "budget_tokens": 0}, {"includeThoughts": True, "thinkingBudget": 0}),
        (PRO, {"enable_reasoning": True}, {"includeThoughts": True}),
        (PRO, {"effort": "medium"}, {"thinkingLevel": "high"}),
        (model("google", "gemini-3-flash-preview"), {"effort": "minimal"}, {"thinkingLevel": "minimal"}),
    ],
)
def test_google_thinks_in_levels_since_gemini_3_and_in_tokens_before(definition, options, thinking):
    sent = wire(definition, Call(definition.model, (user("Why?"),), **options))
    assert sent.url == f"https://host/v1beta/models/{definition.model}:generateContent"
    assert sent.json == {
        "contents": [{"role": "user", "parts": [{"text": "Why?"}]}],
        "generationConfig": {"thinkingConfig": thinking},
    }


def test_google_gets_as_many_results_as_calls_in_their_order_with_ids_and_signature():
    calls = (
        ToolCall("a", "tide_table", {"port": "Oban"}, {"id": "a", "thoughtSignature": "s"}),
        ToolCall("b", "now", {}, {"id": "b"}),
    )
    results = (ToolResult("b", "now", "noon"), ToolResult("a", "tide_table", '{"high": 1}', is_error=True))
    messages = (user("When?"), Message("assistant", calls), *(Message("tool", (each,)) for each in results))
    assert wire(PRO, Call("gemini-3-pro-preview", messages)).json["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"name": "tide_table", "args": {"port": "Oban"}, "id": "a"},
                    "thoughtSignature": "s",
                },
                {"functionCall": {"name": "now", "args": {}, "id": "b"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "tide_table", "response": {"error": {"high": 1}}, "id": "a"}},
                {"functionResponse": {"name": "now", "response": {"result": "noon"}, "id": "b"}},
            ],
        },
    ]


def test_google_takes_files_as_bytes_and_as_its_own_ids():
    more = (Attachment("application/pdf", file_id="files/abc"), Attachment("image/png", url="https://x/y.png"))
    sent = wire(FLASH, Call("gemini-2.5-flash", (Message("user", (PNG, *more)),)))
    assert sent.json["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
        {
            "fileData": {
                "mimeType": "application/pdf",
                "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
            }
        },
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}},
    ]


def test_another_providers_reasoning_is_left_out():
    foreign = tool_turn(reasoning={"type": "thinking", "thinking": "Hm.", "signature": "s"})
    assert [item.get("type") for item in wire(GPT5, Call("gpt-5", foreign)).json["input"]] == [
        None,
        "function_call",
        "function_call_output",
    ]
    assert wire(PRO, Call("g", foreign)).json["contents"][1]["parts"] == [
        {"functionCall": {"name": "tide_table", "args": {"port": "Oban"}}}
    ]


@pytest.mark.parametrize("definition", [GPT, OTHER, SONNET, FLASH])
def test_a_callers_own_options_are_merged_last_and_its_headers_too(definition):
    options = {"generationConfig": {"topK": 5}, "model": "mine"}
    sent = wire(definition, Call(definition.model, TURNS, temperature=0.5, provider_options=options))
    assert sent.json["model"] == "mine"
    assert sent.json["generationConfig"]["topK"] == 5
    if definition is FLASH:
        assert sent.json["generationConfig"]["temperature"] == 0.5


@pytest.mark.parametrize("definition", [GPT, OTHER, SONNET])
def test_a_file_that_the_wire_has_no_place_for_is_refused(definition):
    video = Attachment("video/mp4", data=b"x")
    with pytest.raises(UnsupportedCapability):
        wire(definition, Call(definition.model, (Message("user", (video,)),)))


def test_a_models_name_cannot_change_the_path():
    sent = wire(FLASH, Call("../files?x=", TURNS))
    assert sent.url == "https://host/v1beta/models/..%2Ffiles%3Fx%3D:generateContent"
