"""Reads JSON that comes from outside: nothing here raises over a missing or odd value.

Shared by the provider mappings, so that a provider's malformed answer never ends in a `KeyError`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from datastead.errors import InvalidOutput
from datastead.messages import Usage

NOTHING: Mapping[str, Any] = {}


def an_object(value: object) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    # The first test is for speed: what comes from JSON is a dict, and the second costs four times as much.
    return value if value.__class__ is dict or isinstance(value, Mapping) else NOTHING


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list; an empty list where it is none."""
    if value.__class__ is not list and (not isinstance(value, Sequence) or isinstance(value, str)):
        return []
    return [entry for entry in value if entry.__class__ is dict or isinstance(entry, Mapping)]


def string(value: object) -> str:
    """The value where it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """The value where it is a count of tokens, else 0."""
    return value if value.__class__ is int and value > 0 else 0


def arguments(text: str, tool: str) -> dict[str, Any]:
    """A tool call's arguments out of their JSON text; no text at all is a call without arguments."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidOutput(
            f"The arguments of the call of `{tool}` are not valid JSON.", tool=tool, arguments=text
        ) from error
    if not isinstance(value, dict):
        raise InvalidOutput(f"The arguments of the call of `{tool}` are not an object.", tool=tool, arguments=text)
    return value


def openai_usage(raw: Mapping[str, Any], prompt: str, answer: str) -> Usage | None:
    """OpenAI's usage object in disjoint parts; None where it counts nothing.

    prompt, answer: the wire's words for input and output. Cached and audio tokens are inside the input, reasoning
    and audio tokens inside the output.
    """
    if not raw:
        return None
    total_input, total_output = count(raw.get(f"{prompt}_tokens")), count(raw.get(f"{answer}_tokens"))
    if not total_input and not total_output:
        return None
    # xAI and Google's compatible endpoint count reasoning in the total only; OpenAI's total adds up without this.
    total_output = max(total_output, count(raw.get("total_tokens")) - total_input)
    before, after = an_object(raw.get(f"{prompt}_tokens_details")), an_object(raw.get(f"{answer}_tokens_details"))
    cached = count(before.get("cached_tokens")) or count(raw.get("prompt_cache_hit_tokens"))
    cache_read = min(cached, total_input)
    cache_write = min(count(before.get("cache_write_tokens")), total_input - cache_read)
    audio_input = min(count(before.get("audio_tokens")), total_input - cache_read - cache_write)
    audio_output = min(count(after.get("audio_tokens")), total_output)
    return Usage(
        input=total_input - cache_read - cache_write - audio_input,
        output=total_output - audio_output,
        cache_read=cache_read,
        cache_write=cache_write,
        audio_input=audio_input,
        audio_output=audio_output,
        reasoning=min(count(after.get("reasoning_tokens")), total_output - audio_output),
        raw=raw,
    )
