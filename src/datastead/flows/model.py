"""What a flow is: one definition for every shape it is written in, and the rules that it has to keep.

The rules are checked when a flow is saved, before anything is written, and again when a flow that others wrote is
loaded.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from pydantic import ValidationError

from datastead.errors import InvalidFlow, TemplateError
from datastead.extensions import OperationType, Options, Registry, TriggerType
from datastead.flows.redaction import MASK, hidden
from datastead.flows.syntax import is_template
from datastead.flows.template import Templates

Accountability = Literal["all", "activity"]
STATUSES = ("active", "inactive")
ACCOUNTABILITIES = ("all", "activity", None)
NO_JAVASCRIPT = "JavaScript (`exec`) is not run here: use `transform`, or an operation of your own in Python."


@dataclass(frozen=True, slots=True)
class OperationDefinition:
    """An operation of a flow. resolve, reject: ids of the operations that follow, by how this one ends."""

    id: str
    key: str
    type: str
    options: Mapping[str, Any] = field(default_factory=dict)
    resolve: str | None = None
    reject: str | None = None
    name: str | None = None
    position_x: int = 1
    position_y: int = 1

    def to_json(self) -> dict[str, Any]:
        """What a run has to remember of it."""
        return {
            "id": self.id, "key": self.key, "type": self.type, "options": dict(self.options),
            "resolve": self.resolve, "reject": self.reject,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlowDefinition:
    """A flow. operation: the id of the first operation. trigger: None while the flow is being put together."""

    id: str
    name: str
    trigger: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    operations: tuple[OperationDefinition, ...] = ()
    operation: str | None = None
    status: str = "active"
    accountability: str | None = "all"
    icon: str | None = None
    color: str | None = None
    description: str | None = None

    @property
    def is_active(self) -> bool:
        return self.status == "active"

    def by_id(self, operation: str | None) -> OperationDefinition | None:
        return next((found for found in self.operations if found.id == operation), None)

    def to_json(self) -> dict[str, Any]:
        """What a run has to remember of it."""
        return {
            "id": self.id, "name": self.name, "trigger": self.trigger, "options": dict(self.options),
            "operation": self.operation, "accountability": self.accountability,
            "operations": [operation.to_json() for operation in self.operations],
        }  # fmt: skip

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        operations = tuple(OperationDefinition(**operation) for operation in saved["operations"])
        return cls(**{**saved, "operations": operations})


def trigger_options(definition: FlowDefinition, kind: TriggerType[Any]) -> Options:
    """The trigger's options, parsed. Raises `InvalidFlow` where they do not fit."""
    try:
        options: Options = kind.options.model_validate(_given(definition.options))
    except ValidationError as error:
        raise _misfit(f"the trigger `{kind.name}`", error.errors()[0], trigger=kind.name) from error
    return options


def operation_options(operation: OperationDefinition, kind: OperationType[Any], rendered: Mapping[str, Any]) -> Options:
    """An operation's rendered options, parsed. Raises `InvalidFlow` where they do not fit.

    One that its author left null is not given; one whose template has no value is null.
    """
    try:
        given = {name: value for name, value in rendered.items() if operation.options.get(name) is not None}
        options: Options = kind.options.model_validate(given)
    except ValidationError as error:
        where, secret = f"the operation `{operation.key}`", kind.options.secrets()
        raise _misfit(where, error.errors()[0], secret, operation=operation.key) from error
    return options


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without those that are null: so a Studio leaves what was emptied."""
    return {name: value for name, value in options.items() if value is not None}


def without_secrets(definition: FlowDefinition, registry: Registry) -> FlowDefinition:
    """The flow as it may be kept with a run that has ended: what was written into secret options is taken out."""
    return replace(definition, operations=tuple(_without_secrets(each, registry) for each in definition.operations))


def _without_secrets(operation: OperationDefinition, registry: Registry) -> OperationDefinition:
    try:
        secret = registry.operation(operation.type).options.secrets()
    except InvalidFlow:  # an operation that there is not any more
        return operation
    return replace(operation, options=hidden(operation.options, secret)) if secret else operation


def check(definition: FlowDefinition, registry: Registry, templates: Templates, *, complete: bool = True) -> None:
    """Raises `InvalidFlow` or `TemplateError` where the flow could not run as it is.

    complete: a flow that is still being put together may lack its trigger's options and its first operation.
    """
    _check_words(definition)
    is_filter = _check_trigger(definition, registry, complete=complete)
    for operation in definition.operations:
        _check_operation(operation, registry, templates, is_filter=is_filter)
    _check_keys(definition.operations)
    _check_links(definition)
    _check_cycles(definition)


def _check_words(definition: FlowDefinition) -> None:
    if not definition.name:
        raise InvalidFlow("The flow has no name.", option="name", value=definition.name)
    if definition.status not in STATUSES:
        raise InvalidFlow(
            f"A flow's status is `active` or `inactive`, not `{definition.status}`.",
            option="status",
            value=definition.status,
        )
    if definition.accountability not in ACCOUNTABILITIES:
        raise InvalidFlow(
            f"A flow's accountability is `all`, `activity` or null, not `{definition.accountability}`.",
            option="accountability", value=definition.accountability,
        )  # fmt: skip


def _check_trigger(definition: FlowDefinition, registry: Registry, *, complete: bool) -> bool:
    """Whether the flow is a filter."""
    if definition.trigger is None:
        if complete:
            raise InvalidFlow("The flow has no trigger: say what starts it.", option="trigger", value=None)
        return False
    kind = registry.trigger(definition.trigger)
    if not complete and _only_lacks(kind, definition.options):
        return False
    options = trigger_options(definition, kind)
    kind.trigger.check(options)
    return kind.trigger.is_filter(options)


def _only_lacks(kind: TriggerType[Any], options: Mapping[str, Any]) -> bool:
    try:
        kind.options.model_validate(_given(options))
    except ValidationError as error:
        return all(found["type"] == "missing" for found in error.errors())
    return False


def _check_operation(
    operation: OperationDefinition, registry: Registry, templates: Templates, *, is_filter: bool
) -> None:
    if not operation.key:
        raise InvalidFlow("An operation has no key.", operation=operation.key, option="key", value=operation.key)
    try:
        kind = registry.operation(operation.type)
    except InvalidFlow as error:
        why = NO_JAVASCRIPT if operation.type == "exec" else error.message
        raise InvalidFlow(f"The operation `{operation.key}`: {why}", **_of(operation, error)) from error
    if is_filter and kind.slow:
        raise InvalidFlow(
            f"The operation `{operation.key}` (`{kind.name}`) waits for something outside the database, so that it "
            "cannot be in a filter flow, which runs inside the change: use a flow of type `action`.",
            operation=operation.key, option="operation", value=kind.name,
        )  # fmt: skip
    _check_templates(operation, templates)
    _check_options(operation, kind)


def _check_templates(operation: OperationDefinition, templates: Templates) -> None:
    for path, text in _texts(operation.options):
        try:
            templates.check(text)
        except TemplateError as error:
            message = f"The operation `{operation.key}`, option `{path}`: {error.message}"
            raise TemplateError(message, operation=operation.key, option=path, **error.details) from error


def _check_options(operation: OperationDefinition, kind: OperationType[Any]) -> None:
    """What holds a template is checked once it is rendered."""
    try:
        kind.options.model_validate(_given(operation.options))
    except ValidationError as error:
        wrong = [found for found in error.errors() if not _is_rendered_later(operation.options, found)]
        if wrong:
            where, secret = f"the operation `{operation.key}`", kind.options.secrets()
            raise _misfit(where, wrong[0], secret, operation=operation.key) from error


def _is_rendered_later(options: Mapping[str, Any], error: Mapping[str, Any]) -> bool:
    way = error["loc"][:-1] if error["type"] == "missing" else error["loc"]
    value: Any = options
    for key in way:
        value = _inside(value, key)
    if error["type"] == "missing":
        return isinstance(value, str) and is_template(value)
    return any(is_template(text) for _, text in _texts(value))


def _inside(value: Any, key: Any) -> Any:
    """What `key` leads to; the value itself where it leads nowhere, as the names of a union's members do."""
    if isinstance(value, Mapping):
        return value.get(key, value)
    is_entry = isinstance(value, list | tuple) and isinstance(key, int) and key < len(value)
    return value[key] if is_entry else value


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")


def _check_keys(operations: Sequence[OperationDefinition]) -> None:
    for word, values in (("key", [operation.key for operation in operations]), ("id", [o.id for o in operations])):
        twice = _twice(values)
        if twice is not None:
            raise InvalidFlow(
                f"Two operations have the {word} `{twice}`: each needs its own.",
                operation=twice,
                option=word,
                value=twice,
            )


def _twice(values: Iterable[str | None]) -> str | None:
    counts = Counter(value for value in values if value is not None)
    return next((value for value, count in counts.items() if count > 1), None)


def _check_links(definition: FlowDefinition) -> None:
    known = {operation.id: operation.key for operation in definition.operations}
    if definition.operation is not None and definition.operation not in known:
        raise InvalidFlow(
            f"The flow starts with `{definition.operation}`, which is none of its operations.",
            option="operation", value=definition.operation,
        )  # fmt: skip
    for operation in definition.operations:
        for option, target in (("resolve", operation.resolve), ("reject", operation.reject)):
            if target is not None and target not in known:
                raise dangling(operation.key, option, target, known.values())
    _check_joins(definition, known)


def dangling(operation: str, option: str, target: str, keys: Iterable[str]) -> InvalidFlow:
    """The error of a link that leads nowhere."""
    names = ", ".join(f"`{key}`" for key in keys)
    return InvalidFlow(
        f"The operation `{operation}` goes on with `{target}` on {option}, which is none of the operations: {names}.",
        operation=operation, option=option, value=target,
    )  # fmt: skip


def _check_joins(definition: FlowDefinition, keys: Mapping[str, str]) -> None:
    targets = {
        "resolve": _twice(operation.resolve for operation in definition.operations),
        "reject": _twice(operation.reject for operation in definition.operations),
    }
    for option, target in targets.items():
        if target is not None:
            sources = [
                o.key for o in definition.operations if target == (o.resolve if option == "resolve" else o.reject)
            ]
            names = " and ".join(f"`{source}`" for source in sources)
            raise InvalidFlow(
                f"The operations {names} both go on with `{keys[target]}` on {option}: an operation follows one other. "
                "Repeat the operation, or call another flow with `trigger`.",
                operation=sources[1], option=option, value=keys[target],
            )  # fmt: skip


def _check_cycles(definition: FlowDefinition) -> None:
    links = {operation.id: operation for operation in definition.operations}
    done: set[str] = set()
    for start in links:
        cycle = _cycle_from(start, links, done)
        if cycle:
            keys = [links[operation].key for operation in cycle]
            raise InvalidFlow(
                f"The operations go in a circle: {' -> '.join(f'`{key}`' for key in keys)}. "
                "Leave out the last `resolve` or `reject`.",
                operation=keys[-2], option="resolve", value=keys[-1],
            )  # fmt: skip


def _cycle_from(start: str, links: Mapping[str, OperationDefinition], done: set[str]) -> list[str]:
    """Ids around a circle that is reached from `start`, the first again at the end; empty where there is none."""
    way: list[str] = []
    stack = [(start, False)]
    while stack:
        operation, is_left = stack.pop()
        if is_left:
            done.add(way.pop())
        elif operation in way:
            return [*way[way.index(operation) :], operation]
        elif operation not in done:
            way.append(operation)
            stack.append((operation, True))
            following = (links[operation].resolve, links[operation].reject)
            stack += [(target, False) for target in following if target is not None]
    return []


def _misfit(where: str, error: Mapping[str, Any], secret: Collection[str] = (), **details: Any) -> InvalidFlow:
    """A pydantic error, as ours: which option, what is wrong, with which value; that of a secret one is not shown."""
    option = ".".join(str(key) for key in error["loc"] if not _is_union_word(key)) or "options"
    if error["type"] == "missing":
        return InvalidFlow(f"{_capital(where)} needs the option `{option}`.", option=option, **details)
    value = MASK if error["loc"] and error["loc"][0] in secret else error.get("input")
    if error["type"] == "value_error":
        reason = str(error["ctx"]["error"])
        return InvalidFlow(
            f"{_capital(where)}, option `{option}`: {reason}.", option=option, value=_short(value), **details
        )
    return InvalidFlow(
        f"{_capital(where)}, option `{option}`: {_lower_start(error['msg'])}, not `{_short(value)}`.",
        option=option, value=_short(value), **details,
    )  # fmt: skip


def _is_union_word(key: str | int) -> bool:
    return isinstance(key, str) and ("[" in key or key in ("str", "int", "float", "bool", "none"))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower_start(text: str) -> str:
    return text[:1].lower() + text[1:]


def _of(operation: OperationDefinition, error: InvalidFlow) -> dict[str, Any]:
    return {"operation": operation.key, "option": "operation", **error.details}
