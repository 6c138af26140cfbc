"""Templates: the option values of a flow's operations, with the run's data put in.

Only what the flow's author wrote is a template; the data is never rendered. Minijinja sees copies, and has fuel for a
bounded number of instructions.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from datastead.errors import TemplateError
from datastead.extensions import Chain, FilterType, Registry
from datastead.flows.syntax import Code, Key, Path, Pipeline, Template, is_template, parse, path_of, plain_name, written

if TYPE_CHECKING:
    from minijinja import Environment

FUEL = 100_000
"""How many instructions one template may take."""


class Missing:
    """What a path without a value leads to."""


MISSING = Missing()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered value, and the paths that had none."""

    value: Any
    missing: tuple[str, ...]


def lookup(chain: Chain, path: Path) -> Any:
    """The value at a path, or `MISSING`. `$trigger` answers to the page's names too: see `_trigger_key`."""
    value: Any = chain.get(path.root, MISSING)
    for depth, key in enumerate(path.keys):
        value = _trigger_key(value, key) if depth == 0 and path.root == "$trigger" else _key(value, key)
        if value is MISSING:
            break
    return value


def lookup_text(chain: Chain, path: str) -> Any:
    """The value at a path that is written as text; `MISSING` where it is not a path, or has no value."""
    found = path_of(path)
    return lookup(chain, found) if found else MISSING


def _key(value: Any, key: Key) -> Any:
    if isinstance(value, Mapping):
        return value.get(key if isinstance(key, str) else str(key), MISSING)
    if isinstance(value, list | tuple) and str(key).isdecimal():
        return value[int(key)] if int(key) < len(value) else MISSING
    return MISSING


def _trigger_key(trigger: Any, key: Key) -> Any:
    """A key of `$trigger`: its own, or else one of the item's: `id`, `key` and `keys`, then the payload's fields."""
    value = _key(trigger, key)
    if value is not MISSING or not isinstance(trigger, Mapping):
        return value
    keys = _keys(trigger)
    if key == "keys" and keys is not None:
        return keys
    if key in ("id", "key") and keys is not None and len(keys) == 1:
        return keys[0]
    return _key(trigger.get("payload"), key)


def _keys(trigger: Mapping[str, Any]) -> list[Any] | None:
    if "key" in trigger:
        return [trigger["key"]]
    own = trigger.get("keys")
    if own is None and isinstance(trigger.get("body"), Mapping):
        own = trigger["body"].get("keys")
    return list(own) if isinstance(own, list | tuple) else None


def to_text(value: Any) -> str:
    """A value inside text: JSON for objects and lists, `true` and `false`, and nothing for null."""
    if value is None or value is MISSING:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return _number_text(value)
    return json.dumps(plain(value), default=str, ensure_ascii=False, separators=(",", ":"))


def _number_text(value: float | Decimal) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def plain(value: Any) -> Any:
    """A value without the copies' own types."""
    if isinstance(value, Mapping):
        pairs = dict.items(value) if isinstance(value, dict) else value.items()
        return {str(key): plain(item) for key, item in pairs}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


class _Closed:
    """Lets minijinja see no methods, so that `{{ a.items }}` is a key, and nothing can be called or changed."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise AttributeError(name)


class _Object(_Closed, dict[str, Any]):
    __slots__ = ()


class _List(_Closed, list[Any]):
    __slots__ = ()


class _Trigger(_Object):
    __slots__ = ()

    def __missing__(self, key: str) -> Any:
        value = _trigger_key(plain(self), key)
        if value is MISSING:
            raise KeyError(key)
        return _copy(value)


def _copy(value: Any, kind: type[_Object] = _Object) -> Any:
    if isinstance(value, Mapping):
        return kind({key: _copy(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return _List(_copy(item) for item in value)
    return value


@dataclass(slots=True, eq=False)
class _Rendering:
    """One rendering: the data, and the paths without a value so far."""

    templates: "Templates"
    chain: Chain
    missing: dict[str, None] = field(default_factory=dict)

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def text(self, text: str) -> Any:
        if not is_template(text):
            return text
        template = parse(text)
        if template.lone:
            found = self.code(template.lone)
            return None if found is MISSING else plain(found)
        if template.has_statements:
            return self.statements(template)
        return "".join(part if isinstance(part, str) else to_text(self.code(part)) for part in template.segments)

    def code(self, code: Code) -> Any:
        pipeline = code.pipeline
        if pipeline is not None and all(name in self.templates.filters for name, _ in pipeline.filters):
            return self.pipeline(code, pipeline)
        return self.expression(code)

    def pipeline(self, code: Code, pipeline: Pipeline) -> Any:
        value = lookup(self.chain, pipeline.path)
        if value is MISSING and not _has_default(pipeline):
            self.missing[pipeline.path.text] = None
        for name, arguments in pipeline.filters:
            value = self.filtered(code, name, None if value is MISSING else value, arguments)
        return value

    def filtered(self, code: Code, name: str, value: Any, arguments: tuple[Any, ...]) -> Any:
        try:
            return self.templates.filters[name](value, *arguments)
        except Exception as error:
            raise _at(code, f"the filter `{name}` failed: {error}") from error

    def expression(self, code: Code) -> Any:
        source = code.source.strip().removeprefix("-").removesuffix("-")
        try:
            value = self.templates.environment.eval_expr(source, **self.context(f"{{{{{source}}}}}"))
        except Exception as error:
            raise _at(code, _reason(error)) from error
        return plain(value)

    def statements(self, template: Template) -> str:
        source = _source(template)
        first = next(template.codes)
        try:
            return self.templates.environment.render_str(source, **self.context(source))
        except Exception as error:
            raise _at(first, _reason(error)) from error

    def context(self, source: str) -> dict[str, Any]:
        """Copies of what a template uses. Notes its paths that have no value."""
        environment = self.templates.environment
        for path in environment.undeclared_variables_in_str(source, nested=True):
            if lookup_text(self.chain, written(path)) is MISSING and written(path).split(".")[0] not in _GLOBALS:
                self.missing[written(path)] = None
        names = environment.undeclared_variables_in_str(source)
        used = [name for name in self.chain if plain_name(name) in names]
        kinds = {"$trigger": _Trigger}
        return {plain_name(name): _copy(self.chain[name], kinds.get(name, _Object)) for name in used}


_GLOBALS = {"range", "dict", "namespace", "debug", "loop"}


class Templates:
    """Renders and checks templates, with the filters of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @cached_property
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {name: found.apply for name, found in self._registry.all(FilterType).items()}

    @cached_property
    def environment(self) -> "Environment":
        from minijinja import Environment

        return Environment(
            filters={"items": _pairs, "tojson": to_text, **{name: _on_plain(f) for name, f in self.filters.items()}},
            fuel=FUEL,
            undefined_behavior="chainable",
            finalizer=to_text,
            pycompat=False,
            comment_start_string="{#-comment-",
            comment_end_string="-comment-#}",
        )

    def render(self, value: Any, chain: Chain) -> Rendered:
        """The value with every string in it rendered; the keys of objects are untouched.

        A string that is one `{{ expression }}` becomes that value, with its type. Raises `TemplateError`.
        """
        rendering = _Rendering(self, chain)
        return Rendered(rendering.value(value), tuple(rendering.missing))

    def check(self, text: str) -> None:
        """Raises `TemplateError`, with the position, where the text is not a template that could be rendered."""
        if not is_template(text):
            return
        template = parse(text)
        for code in template.codes:
            self._check_filters(code)
            if code.pipeline is None and not code.is_statement:
                self._compile("{{" + code.source + "}}", code)
        if template.has_statements:
            self._compile(_source(template), next(template.codes))

    def _check_filters(self, code: Code) -> None:
        for name in code.filters:
            if name not in self.filters and not self._is_built_in(name):
                known = ", ".join(f"`{name}`" for name in self.filters)
                raise _at(code, f"there is no filter `{name}`: use one of {known}")

    def _is_built_in(self, name: str) -> bool:
        from minijinja import TemplateError as MinijinjaError

        try:
            self.environment.eval_expr(f"'' | {name}")
        except MinijinjaError as error:
            return error.kind != "UnknownFilter"
        return True

    def _compile(self, source: str, code: Code) -> None:
        from minijinja import TemplateError as MinijinjaError

        try:
            self.environment.undeclared_variables_in_str(source)
        except MinijinjaError as error:
            raise _at(code, _reason(error)) from error


def _source(template: Template) -> str:
    return "".join(part if isinstance(part, str) else _bracketed(part) for part in template.segments)


def _bracketed(code: Code) -> str:
    return f"{{%{code.source}%}}" if code.is_statement else f"{{{{{code.source}}}}}"


def _has_default(pipeline: Pipeline) -> bool:
    return bool(pipeline.filters) and pipeline.filters[0][0] == "default"


def _on_plain(apply: Callable[..., Any]) -> Callable[..., Any]:
    def on_plain(value: Any, *arguments: Any) -> Any:
        return _copy(apply(plain(value), *arguments))

    return on_plain


def _pairs(value: Any) -> list[list[Any]]:
    return [list(pair) for pair in dict.items(value)] if isinstance(value, dict) else []


def _at(code: Code, reason: str) -> TemplateError:
    return TemplateError(
        f"`{code.written}` at {code.position}: {written(reason)}.", reason=reason, line=code.line, column=code.column
    )


def _reason(error: Exception) -> str:
    """What went wrong, without minijinja's excerpt of the template and its data."""
    return str(error).splitlines()[0].split(" (in <")[0] if str(error) else type(error).__name__
