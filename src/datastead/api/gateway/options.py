"""From what a request says to the call path's options: those of OpenAI's wires, and our own."""

import difflib
from collections.abc import Mapping
from typing import Any, cast

from datastead.ai.requests import HTTP_KEY, LONGEST_KEY, CallOptions
from datastead.api.gateway.endpoint import Ask
from datastead.api.gateway.reading import passed_on, text, wrong
from datastead.context import Context
from datastead.errors import InvalidRequest

OPENAI_WIRES = frozenset({"openai", "openai-compatible"})
JSON_ONLY = "Answer with one JSON object, and with nothing else."

_NOT_FROM_OUTSIDE = frozenset({"context", "in_doubt", "provider_options", "timeout_s"})


def _wire_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


OWN: Mapping[str, str] = {
    _wire_name(name): name for name in CallOptions.__annotations__ if name not in _NOT_FROM_OUTSIDE
} | {"timeout": "timeout_s"}
"""Our options by their names over HTTP, which are those of flows."""


def merged(options: CallOptions, more: Mapping[str, Any]) -> CallOptions:
    """The options, with those of `more` that are set."""
    given = {name: value for name, value in more.items() if value is not None}
    return cast("CallOptions", {**options, **given})  # each value is checked by the call path


def own_options(given: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Our own options, by Python's names. Raises `InvalidRequest` for a name that there is not."""
    for name in given.keys() - OWN.keys():
        near = difflib.get_close_matches(name, OWN, n=1)
        hint = f" Did you mean `{near[0]}`?" if near else f" Use one of {', '.join(f'`{each}`' for each in OWN)}."
        raise InvalidRequest(f"There is no option `{name[:80]}`.{hint}", parameter=name[:80])
    found = {OWN[name]: value for name, value in given.items() if value is not None}
    if "provider" in found:
        text(found["provider"], "provider")
    if "key" in found:
        found["key"] = own_key(found["key"], ctx)
    return found


def own_key(key: Any, ctx: Context) -> str:
    """A caller's key, among that caller's: nobody gets the answer that another has paid for."""
    prefix = f"{HTTP_KEY}{ctx.actor.user}:"
    longest = LONGEST_KEY - len(prefix)
    if not isinstance(key, str) or not 0 < len(key) <= longest:
        raise wrong("key", key, f"text of 1 to {longest} characters")
    return prefix + key


def completed(ask: Ask, known: frozenset[str], ctx: Context) -> Ask:
    """The request with what is neither known here nor refused, and with our own options."""
    pass_on(ask, passed_on(ask.body, known), ctx)
    add_own(ask, ask.body.get("datastead"), ctx)
    return ask


def add_own(ask: Ask, given: Any, ctx: Context) -> None:
    """The options that OpenAI's wires have no word for, out of the body's `datastead`."""
    if given is None:
        return
    if not isinstance(given, dict):
        raise wrong("datastead", given, "an object of our own options")
    ask.options = merged(ask.options, own_options(given, ctx))


def pass_on(ask: Ask, more: Mapping[str, Any], ctx: Context) -> None:
    """Parameters that only the provider can read: sent along to an OpenAI wire, else named as ignored."""
    if not more:
        return
    if is_openai_wire(ask, ctx):
        ask.options = merged(ask.options, {"provider_options": {**(ask.options.get("provider_options") or {}), **more}})
    else:
        ask.ignored = [*ask.ignored, *more]


def ask_for_json(ask: Ask, ctx: Context, name: str, value: Any) -> None:
    """Any JSON object as the answer: a mode of OpenAI's wires, and words for the others."""
    if is_openai_wire(ask, ctx):
        pass_on(ask, {name: value}, ctx)
    else:
        system = ask.options.get("system")
        ask.options["system"] = f"{system}\n\n{JSON_ONLY}" if system else JSON_ONLY


def is_openai_wire(ask: Ask, ctx: Context) -> bool:
    """Whether the model is reached through one of OpenAI's wires."""
    return ctx.services.ai.wire_of(ask.options["model"], ask.options.get("provider")) in OPENAI_WIRES
