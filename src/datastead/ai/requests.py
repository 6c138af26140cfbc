"""What a caller asks for, checked once and turned into a `Call`."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Required, TypedDict, get_args

from datastead.ai.attachments import attachment_of
from datastead.ai.conversation import conversation, tool_choice_of, tools_of
from datastead.ai.models import ModelDefinition
from datastead.ai.parameters import invalid
from datastead.ai.structure import in_words
from datastead.errors import InvalidRequest
from datastead.messages import (
    Attachment,
    Call,
    Effort,
    Message,
    Part,
    PromptCache,
    ServiceTier,
    Text,
    ToolDefinition,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

    from datastead.context import Context

Overflow = Literal["refuse", "truncate"]


class CallOptions(TypedDict, total=False):
    """What `generate` and its three twins take beside the prompt.

    model: an id, `provider:model` or `provider/model`. provider: where it is, if the id alone does not say. messages:
    earlier turns, `Message` or JSON (see `conversation`); the prompt comes after them. attachments: go with the
    prompt, `Attachment`, `Path` or JSON (see `attachments`). max_tokens: output cap, tokens. tools: `ToolDefinition`
    or `{name, description, inputSchema}`. tool_choice: `auto`, `none`, `required` or a tool's name. schema: JSON
    schema of the answer, or a pydantic model. overflow: what to do where the prompt may not fit, `refuse` or
    `truncate`; None = refuse what certainly does not. enable_reasoning, effort, budget_tokens: how much to reason.
    parallel_tools: whether several tools may be called at once. service_tier, prompt_cache: see `Call`.
    provider_options: into the request's JSON, as they are. timeout_s: for all attempts together.
    fallbacks: what to call in turn where the model cannot be reached: ids, or `{model, provider}`. cache: True, seconds
    or `{ttl}`: the same call within that time is answered without asking the provider.
    key: names the call: the same key again gives the same answer, without paying for it. purpose: for the ledger.
    context: who asks, and in which run. in_doubt: what to do where an earlier attempt may have been paid.
    """

    model: Required[str]
    provider: str | None
    messages: "Sequence[Message | Mapping[str, Any]] | None"
    system: str | None
    attachments: Sequence[Attachment | Path | Mapping[str, Any]] | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    stop: str | Sequence[str] | None
    tools: Sequence[ToolDefinition | Mapping[str, Any]] | None
    tool_choice: str | None
    schema: "Mapping[str, Any] | type[BaseModel] | None"
    overflow: Overflow | None
    enable_reasoning: bool | None
    effort: Effort | None
    budget_tokens: int | None
    parallel_tools: bool | None
    service_tier: ServiceTier | None
    prompt_cache: PromptCache | None
    provider_options: Mapping[str, Any] | None
    fallbacks: "Sequence[str | Mapping[str, str]] | None"
    cache: bool | float | Mapping[str, float] | None
    timeout_s: float | None
    key: str | None
    purpose: str | None
    context: "Context | None"
    in_doubt: Literal["retry", "reject"] | None


_NAMES = frozenset(CallOptions.__annotations__)
_NOTHING: Mapping[str, Any] = {}
WHO = ("user", "role", "token", "flow", "run", "step", "collection", "item", "field", "thread", "request_id")
"""What the ledger says about who asked, and for what."""

_NOBODY: Mapping[str, str | None] = dict.fromkeys(WHO)
LONGEST_KEY = 128
HTTP_KEY = "http:"
"""How the keys of callers over HTTP begin: nobody tells us when such a caller has saved the answer."""

LONGEST_PURPOSE = 64
MOST_FALLBACKS = 8
CACHE_TTL_S = 3600.0
"""How long an answer is kept where `cache` is True."""

LONGEST_CACHE_TTL_S = 366 * 86400.0


class Fallback(NamedTuple):
    """A model to call where the one before cannot be reached."""

    model: str
    provider: str | None = None


def check_names(options: Mapping[str, Any], names: frozenset[str] = _NAMES) -> None:
    """Raises `TypeError` as Python does for a keyword that is not one."""
    if "model" in options and names.issuperset(options):
        return
    for name in options.keys() - names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        raise TypeError(f"There is no option `{name}`.{hint}")
    raise TypeError("`model` is missing: which model shall be called?")


def build_call(prompt: str | None, options: CallOptions, definition: ModelDefinition, *, stream: bool) -> Call:
    """The call that the options describe. Raises `InvalidRequest` that names the parameter."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    system, messages = _conversation(prompt, given)
    checked = {name: _CHECKS[name](given, name) for name in given if name in _CHECKS}
    if "schema" in checked and not definition.schema:
        system = in_words(checked.pop("schema"), system)
    extra = _object(given, "provider_options") if "provider_options" in given else _NOTHING
    return Call(
        model=definition.model,
        messages=messages,
        system=system,
        stream=stream,
        provider_options={**definition.provider_options, **extra} if extra else definition.provider_options,
        **checked,
    )


def text_option(options: Mapping[str, Any], name: Literal["key", "purpose"], longest: int) -> str | None:
    """A short text for the ledger. Raises `InvalidRequest` where it would not fit."""
    value = options.get(name)
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= longest):
        raise invalid(name, value, f"text of 1 to {longest} characters")
    return value


def timeout_of(options: Mapping[str, Any], default_s: float) -> float:
    """Seconds that all attempts may take together."""
    value = options.get("timeout_s")
    if value is None:
        return default_s
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise invalid("timeout_s", value, "a number of seconds above 0")
    return float(value)


def fallbacks_of(options: CallOptions) -> tuple[Fallback, ...]:
    """The models to call in turn where the first cannot be reached. Raises `InvalidRequest`."""
    given = options.get("fallbacks")
    if not given:
        return ()
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence) or len(given) > MOST_FALLBACKS:
        raise invalid("fallbacks", given, f"a list of up to {MOST_FALLBACKS} models")
    return tuple(_fallback(each, position) for position, each in enumerate(given))


def cache_ttl_of(options: CallOptions) -> float | None:
    """How many seconds the answer may be kept and given again; None = not at all. Raises `InvalidRequest`."""
    given = options.get("cache")
    if given is None or isinstance(given, bool):
        return CACHE_TTL_S if given else None
    ttl_s = given.get("ttl") if isinstance(given, Mapping) and given.keys() == {"ttl"} else given
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float) or not 0 < ttl_s <= LONGEST_CACHE_TTL_S:
        raise invalid("cache", given, "`true`, a number of seconds above 0 (a year at most), or `{ttl: seconds}`")
    return float(ttl_s)


def who_of(context: "Context | None") -> Mapping[str, str | None]:
    """Who asks, and for what: by the names of `WHO`."""
    if context is None:
        return _NOBODY
    actor = context.actor
    return {
        "user": actor.user,
        "role": actor.role,
        "token": actor.token,
        "flow": context.flow,
        "run": context.run,
        "step": context.step,
        "collection": context.collection,
        "item": context.item,
        "field": context.field,
        "thread": context.thread,
        "request_id": context.request_id,
    }


def _conversation(prompt: str | None, given: Mapping[str, Any]) -> tuple[str | None, tuple[Message, ...]]:
    system = given.get("system", "")
    if not isinstance(system, str):
        raise invalid("system", system, "text")
    systems, messages = conversation(given["messages"]) if "messages" in given else ([], [])
    if prompt is not None and not isinstance(prompt, str):
        raise invalid("prompt", prompt, "text")
    parts: tuple[Part, ...] = (Text(prompt),) if prompt else ()
    if "attachments" in given:
        parts = (*parts, *_attachments(given["attachments"]))
    turns = (*messages, Message("user", parts)) if parts else tuple(messages)
    if not any(turn.parts for turn in turns):
        raise InvalidRequest("There is nothing to answer: `prompt` and `messages` are empty.", parameter="prompt")
    return "\n\n".join([system, *systems] if system else systems) or None, turns


def _attachments(given: Any) -> list[Attachment]:
    if isinstance(given, str | Mapping | Attachment) or not isinstance(given, Sequence):
        raise invalid("attachments", given, "a list of attachments")
    return [attachment_of(each, f"attachments.{position}") for position, each in enumerate(given)]


def _count(given: Mapping[str, Any], name: str) -> int:
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise invalid(name, value, "a whole number of tokens, 1 or more")
    return value


def _number(low: float, high: float) -> Callable[[Mapping[str, Any], str], float]:
    def check(given: Mapping[str, Any], name: str) -> float:
        value = given[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise invalid(name, value, f"a number from {low} to {high}")
        return value

    return check


def _one_of(allowed: tuple[str, ...]) -> Callable[[Mapping[str, Any], str], str]:
    def check(given: Mapping[str, Any], name: str) -> str:
        value: str = given[name]
        if value not in allowed:
            raise invalid(name, value, f"one of {', '.join(f'`{each}`' for each in allowed)}")
        return value

    return check


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value: bool = given[name]
    if not isinstance(value, bool):
        raise invalid(name, value, "`true` or `false`")
    return value


def _fallback(given: Any, position: int) -> Fallback:
    named = {"model": given} if isinstance(given, str) else given
    if not isinstance(named, Mapping) or not {"model"} <= named.keys() <= {"model", "provider"}:
        raise invalid(f"fallbacks.{position}", given, "a model's id, or `{model, provider}`")
    model, provider = named["model"], named.get("provider")
    if not (isinstance(model, str) and model) or not (provider is None or isinstance(provider, str)):
        raise invalid(f"fallbacks.{position}", given, "a model's id, or `{model, provider}`")
    return Fallback(model, provider)


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value: Mapping[str, Any] = given[name]
    if not isinstance(value, Mapping):
        raise invalid(name, value, "an object")
    return value


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = [given[name]] if isinstance(given[name], str) else given[name]
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise invalid(name, value, "text, or a list of texts")
    return tuple(value)


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], str], Any]] = {
    "max_tokens": _count,
    "budget_tokens": _count,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "stop": _texts,
    "tools": lambda given, name: tools_of(given[name]),
    "tool_choice": lambda given, name: tool_choice_of(given[name], tools_of(given.get("tools", ()))),
    "schema": _object,
    "enable_reasoning": lambda given, name: bool(given[name]),
    "effort": _one_of(get_args(Effort)),
    "parallel_tools": _flag,
    "service_tier": _one_of(get_args(ServiceTier)),
    "prompt_cache": _one_of(get_args(PromptCache)),
}
