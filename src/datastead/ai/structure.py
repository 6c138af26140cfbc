"""Structured output: from a schema to what is sent, and from the answer's text to a value that fits. No I/O.

Text that cannot be read as JSON, or does not fit, never becomes a value: it is an `InvalidOutput` that says why.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from datastead.ai.parameters import invalid
from datastead.ai.results import GenerationResult
from datastead.errors import AIError, InvalidOutput, InvalidRequest, UnsupportedCapability

VALUE = "value"
"""The property that holds the answer where the schema is not of an object: most providers take nothing else."""

LONGEST_REASON = 300  # characters
LONGEST_QUOTE = 20_000  # characters of a wrong answer that are sent back to be mended

_FENCE = re.compile(r"```[a-zA-Z0-9_-]*[ \t]*\r?\n(.*?)```", re.DOTALL)
_PROBLEMS = (ValueError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Shape:
    """What an answer has to be.

    schema: as it is sent, always of an object. is_wrapped: the answer itself is the object's `value`. model: the
    pydantic class that the answer becomes. validator: of jsonschema-rs.
    """

    schema: Mapping[str, Any]
    is_wrapped: bool
    model: type[BaseModel] | None
    validator: Any

    def value(self, result: GenerationResult) -> Any:
        """The answer as a value. Raises `InvalidOutput`: `cause` is `length`, `content-filter`, `json` or `schema`."""
        if result.finish_reason == "content-filter":
            raise _problem(result, "content-filter", "The model refused to answer, or its answer was withheld")
        try:
            found = json_in(result.content)
        except _PROBLEMS as error:
            if result.finish_reason == "length":
                raise _cut(result) from error
            raise _problem(result, "json", "The answer is not JSON", str(error)) from error
        try:
            return self._fitting(found, result)
        except InvalidOutput as error:
            if result.finish_reason == "length":
                raise _cut(result) from error
            raise

    def _fitting(self, found: Any, result: GenerationResult) -> Any:
        if self.is_wrapped:
            found = found[VALUE] if isinstance(found, dict) and found.keys() == {VALUE} else found
            # A model that was asked in words may leave the wrapping out.
        if self.model is not None:
            return _instance(self.model, found, result)
        checked = {VALUE: found} if self.is_wrapped else found
        problem = next(iter(self.validator.iter_errors(checked)), None)
        if problem is not None:
            path = problem.instance_path[1:] if self.is_wrapped else problem.instance_path
            raise _misfit(result, path, problem.message)
        return found


def shape_of(schema: Any) -> Shape:
    """The shape that a JSON schema or a pydantic model describes. Raises `InvalidRequest` where it is no schema."""
    model = schema if isinstance(schema, type) and issubclass(schema, BaseModel) else None
    plain = model.model_json_schema() if model is not None else schema
    if not isinstance(plain, Mapping) or isinstance(schema, type) is not (model is not None):
        raise invalid("schema", schema, "a JSON schema (an object), or a pydantic model class")
    wrapped = plain.get("type") != "object"
    _validator(plain)  # its own errors name places in the schema as it was given
    sent = _wrapped(plain) if wrapped else plain
    return Shape(sent, wrapped, model, _validator(sent))


def in_words(schema: Mapping[str, Any], system: str | None) -> str:
    """The system prompt, with the schema in words, for models that cannot be held to it in another way."""
    asked = "Answer with nothing but JSON, without a word before or after it. It has to fit this JSON schema:\n"
    return "\n\n".join([*([system] if system else []), asked + json.dumps(schema, ensure_ascii=False, default=str)])


def json_in(text: str) -> Any:
    """The JSON value that a text is, or has in a fence or between some words. Raises `ValueError` where there is none.

    More than one fence is no answer: nobody can tell which one was meant.
    """
    bare = text.strip().removeprefix("\ufeff")
    try:
        return _parsed(bare)
    except ValueError as error:
        fenced = _FENCE.findall(bare)
        if len(fenced) == 1:
            return _parsed(fenced[0])
        inner = None if fenced else _between_brackets(bare)
        if inner is None or inner == bare:
            raise
        try:
            return _parsed(inner)
        except ValueError:
            raise error from None


def repair_request(problem: InvalidOutput, shape: Shape) -> str:
    """What a model is told whose answer did not fit."""
    path = problem.details.get("path")
    where = f" at `{path}`" if path else ""
    return (
        f"Your answer cannot be used: {problem.details['reason']}{where}. Answer again, with nothing but JSON that fits"
        f" this JSON schema:\n{json.dumps(shape.schema, ensure_ascii=False)}"
    )


def can_be_repaired(problem: InvalidOutput) -> bool:
    """Whether asking again can help: the same cap would cut the answer again, and a refusal is an answer."""
    return problem.details["cause"] in {"json", "schema"}


_OF_SCHEMA = re.compile(
    r"response_format|response_?json_?schema|response_schema|json[_ -]schema|structured[_ -]outputs?|output_config"
    r"|output_format|text\.format|guided|grammar",
    re.IGNORECASE,
)


def is_about_schema(error: AIError) -> bool:
    """Whether the request was refused because of its schema, by the provider or for it: it is to be asked in words."""
    if isinstance(error, UnsupportedCapability):
        return error.details.get("capability") == "schema"
    said_by_provider = "provider_status" in error.details
    return type(error) is InvalidRequest and said_by_provider and bool(_OF_SCHEMA.search(error.message))


def _validator(schema: Mapping[str, Any]) -> Any:
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(dict(schema), validate_formats=True, retriever=_refuse_to_fetch)
    except _PROBLEMS as error:
        path = getattr(error, "instance_path", None) or []
        reason = _short(str(getattr(error, "message", error)))
        raise InvalidRequest(
            f"`schema` is no JSON schema: {reason} (at `{json_path(path)}`).",
            parameter="schema", path=json_path(path), reason=reason,
        ) from error  # fmt: skip


def _refuse_to_fetch(uri: str) -> NoReturn:
    """A schema is whole in itself: its references are followed neither into the network nor into files."""
    raise ValueError(f"`{uri}` is not fetched: put what it refers to into `$defs`")


def _wrapped(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as the `value` of an object. Definitions stay at the root, where references look for them."""
    moved = {key: schema[key] for key in ("$defs", "definitions", "$schema") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in moved}
    if '"#"' in json.dumps(inner, default=str):
        raise InvalidRequest(
            "`schema` refers to itself as `#`, and is not of an object: put it into `$defs`.", parameter="schema"
        )
    return {**moved, "type": "object", "properties": {VALUE: inner}, "required": [VALUE]}


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"`{name}` is not JSON")


def _between_brackets(text: str) -> str | None:
    """From the first opening bracket to the last closing one."""
    starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
    if not starts:
        return None
    start = min(starts)
    end = text.rfind("}" if text[start] == "{" else "]")
    return text[start : end + 1] if end > start else None


def _instance(model: type[BaseModel], found: Any, result: GenerationResult) -> BaseModel:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise _misfit(result, list(first["loc"]), first["msg"]) from error


def json_path(path: list[Any]) -> str:
    """A place in a JSON value, such as `$.items[2].name`."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _misfit(result: GenerationResult, path: list[Any], reason: str) -> InvalidOutput:
    return _problem(result, "schema", "The answer does not fit the schema", reason, json_path(path))


def _cut(result: GenerationResult) -> InvalidOutput:
    return _problem(result, "length", "The answer was cut at its longest: raise `max_tokens`")


def _problem(
    result: GenerationResult, cause: str, message: str, reason: str | None = None, path: str | None = None
) -> InvalidOutput:
    shown = _short(reason) if reason else message
    where = f" at `{path}`" if path else ""
    return InvalidOutput(
        f"{message}{where}: {shown}." if reason else f"{message}.",
        cause=cause, reason=shown, path=path, finish_reason=result.finish_reason, model=result.model,
        provider=result.provider, call=result.call,
    )  # fmt: skip


def _short(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else "it is empty"
    return first if len(first) <= LONGEST_REASON else f"{first[: LONGEST_REASON - 1]}…"
