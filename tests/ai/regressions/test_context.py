"""The context window: what peers get wrong, one test a lesson (n8n 22651, MCP 2808)."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import splintr

from datastead import Settings, count_tokens
from datastead.ai.vocabularies import Vocabulary
from datastead.errors import ContextLengthExceeded
from datastead.messages import Message, Text, ToolCall, ToolResult, assistant, user
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House, opened

MakeSettings = Callable[..., Settings]
SMALL = [{"id": "gpt-4o-small", "context": 400, "output": 100}, {"id": "unheard-of", "context": 400, "output": 100}]
"""One whose vocabulary is known by its name, and one that nobody knows."""

TOOL = {
    "name": "search",
    "description": "Searches the house for whatever was asked. " * 30,
    "inputSchema": {"type": "object", "properties": {f"field_{number}": {"type": "string"} for number in range(30)}},
}


@pytest.fixture
def small(settings: MakeSettings) -> Settings:
    return settings(ai_openai_compatible_models=SMALL)


def words(count: int, word: str = "salt") -> str:
    """Text of exactly so many tokens."""
    return " ".join([word] * count)


async def test_a_prompt_over_the_limit_is_refused_with_the_exact_numbers(
    sqlite_url: str, small: Settings, simulator: Simulator
) -> None:
    async with opened(sqlite_url, small) as house:
        with pytest.raises(ContextLengthExceeded) as caught:
            await house.ai.generate(words(401), model="gpt-4o-small")
        assert (caught.value.details["counted"], caught.value.details["allowed"]) == (401, 400)
        assert (simulator.requests, await house.rows()) == ([], [])
        await house.ai.generate(words(400), model="gpt-4o-small")


async def test_tools_count(sqlite_url: str, small: Settings, simulator: Simulator) -> None:
    async with opened(sqlite_url, small) as house:
        plain = await house.ai.count_tokens("Hello", model="gpt-4o-small")
        counted = await house.ai.count_tokens("Hello", model="gpt-4o-small", tools=[TOOL])
        assert (plain.is_exact, counted.is_exact) == (True, False)
        assert counted.tokens - plain.tokens > 300
        with pytest.raises(ContextLengthExceeded) as caught:
            await house.ai.generate("Hello", model="gpt-4o-small", tools=[TOOL], overflow="refuse")
    assert caught.value.details["counted"] == counted.tokens
    assert simulator.requests == []


async def test_tool_results_and_the_arguments_of_tool_calls_count(sqlite_url: str, small: Settings) -> None:
    turns = [
        user("Search"),
        Message("assistant", (ToolCall("1", "search", {"q": words(100)}),)),
        Message("tool", (ToolResult("1", "search", words(200)),)),
    ]
    async with opened(sqlite_url, small) as house:
        counted = await house.ai.count_tokens(model="gpt-4o-small", messages=turns)
    assert counted.at_least > 300


async def test_the_room_for_the_answer_is_kept_free_where_it_is_asked_for(sqlite_url: str, small: Settings) -> None:
    async with opened(sqlite_url, small) as house:
        with pytest.raises(ContextLengthExceeded) as caught:
            await house.ai.generate(words(320), model="gpt-4o-small", max_tokens=90, overflow="refuse")
    assert caught.value.details["allowed"] == 310


async def test_an_unknown_vocabulary_is_refused_only_where_nothing_could_fit_unless_asked_otherwise(
    sqlite_url: str, small: Settings, simulator: Simulator
) -> None:
    async with opened(sqlite_url, small) as house:
        await house.ai.generate("Überall Salz. " * 40, model="unheard-of")
        with pytest.raises(ContextLengthExceeded):
            await house.ai.generate("Überall Salz. " * 40, model="unheard-of", overflow="refuse")
    assert len(simulator.requests) == 1


async def test_truncation_drops_the_oldest_turns_and_says_which(
    sqlite_url: str, small: Settings, simulator: Simulator
) -> None:
    turns = [user(words(150, "old")), assistant(words(100, "older")), user(words(50, "new")), assistant(words(50))]
    async with opened(sqlite_url, small) as house:
        result = await house.ai.generate(
            words(60), model="gpt-4o-small", messages=turns, system="Be kind.", max_tokens=100, overflow="truncate"
        )
    sent = [message["content"] for message in simulator.requests[-1]["json"]["messages"]]
    assert sent == ["Be kind.", words(50, "new"), words(50), words(60)]
    assert [(cut.message, cut.part, cut.role, cut.characters) for cut in result.truncated] == [
        (0, None, "user", len(words(150, "old"))),
        (1, None, "assistant", len(words(100, "older"))),
    ]
    assert result.truncated[0].tokens >= 150


async def test_truncation_then_cuts_the_longest_text_and_nothing_else(
    sqlite_url: str, small: Settings, simulator: Simulator
) -> None:
    async with opened(sqlite_url, small) as house:
        result = await house.ai.generate(
            model="gpt-4o-small", system="Be kind.", max_tokens=100, overflow="truncate",
            messages=[Message("user", (Text("Here is the text:"), Text(words(2000))))],
        )  # fmt: skip
    (whole,) = [m for m in simulator.requests[-1]["json"]["messages"] if "text:" in json.dumps(m)]
    (cut,) = result.truncated
    assert (cut.message, cut.part) == (0, 1)
    kept = json.dumps(whole).count("salt")
    assert 250 < kept < 300
    assert cut.characters == len(words(2000)) - len(words(kept))
    assert result.to_dict()["truncated"][0] == {
        "message": 0, "part": 1, "role": "user", "tokens": cut.tokens, "characters": cut.characters,
    }  # fmt: skip


@pytest.mark.parametrize("model", ["gpt-4o-small", "unheard-of"])
async def test_what_was_truncated_fits(sqlite_url: str, small: Settings, simulator: Simulator, model: str) -> None:
    texts = [words(3000), "Über die Brücke 我们今天 🚀 " * 300, "1234567 " * 500]
    async with opened(sqlite_url, small) as house:
        for text in texts:
            await house.ai.generate(text, model=model, max_tokens=50, overflow="truncate")
            sent = simulator.requests[-1]["json"]["messages"][0]["content"]
            assert count_tokens(sent, model) <= 350
            assert len(sent) > 100


async def test_a_tool_result_is_cut_but_never_parted_from_its_call(
    sqlite_url: str, small: Settings, simulator: Simulator
) -> None:
    old = [
        user("Old"),
        Message("assistant", (ToolCall("1", "search", {}),)),
        Message("tool", (ToolResult("1", "search", words(300)),)),
        assistant("Done."),
    ]
    new = [
        user("New"),
        Message("assistant", (ToolCall("2", "search", {}),)),
        Message("tool", (ToolResult("2", "search", words(900)),)),
    ]
    async with opened(sqlite_url, small) as house:
        result = await house.ai.generate(
            model="gpt-4o-small", messages=[*old, *new], max_tokens=100, overflow="truncate"
        )
    sent = simulator.requests[-1]["json"]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert (sent[1]["tool_calls"][0]["id"], sent[2]["tool_call_id"]) == ("2", "2")
    assert [(cut.message, cut.part) for cut in result.truncated] == [(0, None), (1, None), (2, None), (3, None), (6, 0)]


async def test_what_cannot_be_cut_is_refused(sqlite_url: str, small: Settings, simulator: Simulator) -> None:
    async with opened(sqlite_url, small) as house:
        with pytest.raises(ContextLengthExceeded):
            await house.ai.generate("Hi", model="gpt-4o-small", system=words(500), overflow="truncate")
    assert simulator.requests == []


async def test_a_stream_says_what_was_cut(sqlite_url: str, small: Settings) -> None:
    async with opened(sqlite_url, small) as house:
        stream = house.ai.generate_stream(words(900), model="gpt-4o-small", overflow="truncate")
        result = await stream.collect()
    assert [(cut.message, cut.part) for cut in result.truncated] == [(0, 0)]


async def test_nothing_is_cut_where_all_fits(house: House) -> None:
    assert (await house.ai.generate("Hi", model="gpt-4.1", overflow="truncate")).truncated == ()


SAMPLES = [
    "The quick brown fox jumps over the lazy dog, and goes home. " * 10,
    "def add(a: int, b: int) -> int:\n    return a + b\n" * 10,
    json.dumps([{"id": number, "price": number * 1.37, "at": "2026-11-26"} for number in range(50)]),
    "Die Geschwindigkeitsbegrenzung gilt für Straßenbahnen. " * 10,
    "Быстрая лиса прыгает через ленивую собаку. " * 10,
    "我们今天去看电影吧,明天去爬山。" * 10,
    "우리는 오늘 영화를 보러 갑니다. " * 10,
    "हम आज फिल्म देखने जा रहे हैं। " * 10,
    "نحن نذهب اليوم إلى السينما. " * 10,
    " ".join(str(number * 7919) for number in range(300)),
    "😀👩‍👩‍👧🎉🚀 " * 20,
    "<|endoftext|> " * 20,
]


@pytest.mark.parametrize("name", ["llama2", "gemma3", "qwen3", "mistral_v1", "deepseek_v3", "cl100k_base"])
def test_the_bounds_of_an_unknown_vocabulary_hold_for_those_that_are_known(name: str) -> None:
    theirs = splintr.Tokenizer.from_pretrained(name)
    ours = Vocabulary("o200k_base", "bounds")
    for text in SAMPLES:
        bounds = ours.count(text)
        assert bounds.least <= len(theirs.encode_ordinary(text)) <= bounds.most, text


@pytest.mark.parametrize("text", ["a" * 300_000, " " * 300_000, "我" * 100_000, "\ud800 half", "\x00" * 1000, ""])
def test_no_text_stops_the_count(text: str) -> None:
    began = time.monotonic()
    assert (count_tokens(text, "gpt-4.1") == 0) == (text == "")
    assert time.monotonic() - began < 20


def test_a_model_is_counted_with_its_own_vocabulary() -> None:
    text = "हम आज फिल्म देखने जा रहे हैं।"
    known: dict[str, Any] = {name: count_tokens(text, name) for name in ("gpt-5", "gpt-4-turbo", "llama3.1:8b")}
    assert known["gpt-5"] < known["llama3.1:8b"] < known["gpt-4-turbo"]
    assert count_tokens(text) == count_tokens(text, "openai/gpt-4.1") == known["gpt-5"]
    assert count_tokens(text, "claude-opus-4-5") > known["gpt-5"]
