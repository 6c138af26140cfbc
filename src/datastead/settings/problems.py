"""What to say of a variable with a wrong value: its shape, and what is allowed. The value itself is never shown."""

from collections.abc import Sequence
from typing import Any, get_args

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo


def describe(field: FieldInfo, path: Sequence[str | int], problem: Any) -> str:
    """The rest of a sentence that begins with the variable's name. path: where in a list or object the problem is."""
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    where = f", at `{place.lstrip('.')}`," if place else ""
    match problem["type"]:
        case "missing":
            return f", at `{place.lstrip('.')}`, is missing."
        case "extra_forbidden":
            return f", at `{place.lstrip('.')}`, is not a known key."
        case kind:
            return f"{where} is {shape(problem['input'])}; allowed: {_allowed(field, kind, problem)}."


def shape(value: Any) -> str:
    """What a value looks like, without a piece of it."""
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return f"text of {len(value)} character{'' if len(value) == 1 else 's'}"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case _:
            return "nothing" if value is None else "something else"


def _allowed(field: FieldInfo, kind: str, problem: Any) -> str:
    context = problem.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "`")
    if kind.startswith("bool"):
        return "`true` or `false`"
    if kind.startswith(("int", "float", "greater", "less", "finite")):
        return _number(field, kind, context)
    words = {"string_type": "text (in quotes)", "string_too_short": "text that is not empty"}
    words |= {"list_type": "a list, by commas or as `json:[…]`", "dict_type": "`json:{…}`", "model_type": "an object"}
    return words.get(kind, str(problem["msg"]).lower())


def _number(field: FieldInfo, kind: str, context: dict[str, Any]) -> str:
    word = "a whole number" if kind.startswith("int") or _is_whole(field) else "a number"
    low = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), context.get("ge"))
    above = next((bound.gt for bound in field.metadata if isinstance(bound, Gt)), context.get("gt"))
    high = next((bound.le for bound in field.metadata if isinstance(bound, Le)), context.get("le"))
    if low is not None and high is not None:
        return f"{word} from {low} to {high}"
    if low is not None:
        return f"{word}, {low} or more"
    return f"{word} above {above}" if above is not None else word


def _is_whole(field: FieldInfo) -> bool:
    return field.annotation is int or int in get_args(field.annotation)
