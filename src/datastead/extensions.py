"""What can be added from outside (providers, operations, storages …), and the `Registry` that finds it.

A decorator only wraps; nothing happens on import. The registry looks an extension up by name, and loads the one module
that has it: `<package>.operations.ai_generate` for the operation `ai-generate`.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, SecretStr

from datastead.context import Context
from datastead.errors import AIError, Forbidden, InvalidExtension, InvalidFlow, UnsupportedCapability
from datastead.messages import Call, EmbeddingCall, Embeddings, Endpoint, StreamEvent, WireRequest

if TYPE_CHECKING:
    from datastead.ai.models import ModelDefinition
    from datastead.events import Event
    from datastead.files.storage import Storage

Chain = Mapping[str, Any]
"""A run's data: `$trigger`, `$last`, `$accountability`, `$env`, and each done operation's result under its key."""

ENTRY_POINT_GROUP = "datastead"


class Options(BaseModel):
    """What an extension can be told: one schema for validation, forms, docs and OpenAPI. Keys are the wire's.

    An option of type `SecretStr` is kept in no journal, and shown in no message.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    @classmethod
    @cache
    def secrets(cls) -> frozenset[str]:
        """The names of the options that are secret."""
        found = [
            (name, field.alias)
            for name, field in cls.model_fields.items()
            if SecretStr in (field.annotation, *get_args(field.annotation))
        ]
        return frozenset(name for names in found for name in names if name is not None)


OptionsT = TypeVar("OptionsT", bound=Options)


class Extension(Protocol):
    """What all kinds of extensions have."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str:
        """The docstring of what was declared: users and models read it."""


E = TypeVar("E", bound=Extension)


@dataclass(frozen=True, slots=True)
class OperationType(Generic[OptionsT]):
    """A kind of operation in flows, such as `item-create`.

    run(ctx, options, chain): what it does; its return value (JSON) is the step's result; raising rejects.
    slow: waits for something outside the database: refused in filter flows.
    atomic: all its effects are in our database: they commit with the step's record, so that they happen exactly once.
    at_most_once: is not done again when the process died meanwhile, unless the operation's policy says `retry`.
    """

    name: str
    options: type[OptionsT]
    run: Callable[[Context, OptionsT, Chain], Awaitable[Any]]
    slow: bool = False
    atomic: bool = False
    at_most_once: bool = False

    @property
    def description(self) -> str:
        return (self.run.__doc__ or "").strip()


def operation(
    name: str, options: type[OptionsT], *, slow: bool = False, atomic: bool = False, at_most_once: bool = False
) -> Callable[[Callable[[Context, OptionsT, Chain], Awaitable[Any]]], OperationType[OptionsT]]:
    """Declares an operation; the function's docstring is what users and models read."""

    def wrap(run: Callable[[Context, OptionsT, Chain], Awaitable[Any]]) -> OperationType[OptionsT]:
        return OperationType(name, options, run, slow=slow, atomic=atomic, at_most_once=at_most_once)

    return wrap


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """An HTTP request to `/flows/trigger/:id`, as triggers see it. body: parsed JSON, `{}` where there is none."""

    method: str
    path: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    body: Any


class Trigger(Generic[OptionsT]):
    """What starts a flow. A subclass overrides the one of `matches`, `next_at` and `accept` that it is about.

    looks_into_events: whether `matches` looks at more of an event than its kind, name, scope and collection.
    """

    looks_into_events: ClassVar[bool] = True

    def check(self, options: OptionsT) -> None:
        """Raises `InvalidFlow` where the options contradict themselves; runs when a flow is saved."""

    def matches(self, options: OptionsT, event: "Event") -> bool:
        """Whether the event starts the flow."""
        return False

    def next_at(self, options: OptionsT, after: datetime) -> datetime | None:
        """The next time after `after` (aware UTC) at which the flow starts by itself."""
        return None

    async def accept(self, ctx: Context, options: OptionsT, request: TriggerRequest) -> Any:
        """`$trigger` for a run that an HTTP request starts; raises `Forbidden` where it may not."""
        raise Forbidden

    def is_filter(self, options: OptionsT) -> bool:
        """Whether the flow runs inside the change, before the write, and may replace the payload."""
        return False

    def is_blocking(self, options: OptionsT) -> bool:
        """Whether the caller waits for the run's result."""
        return False


@dataclass(frozen=True, slots=True)
class TriggerType(Generic[OptionsT]):
    """A kind of trigger, such as `event`."""

    name: str
    options: type[OptionsT]
    trigger: Trigger[OptionsT]

    @property
    def description(self) -> str:
        return (type(self.trigger).__doc__ or "").strip()


def trigger(name: str, options: type[OptionsT]) -> Callable[[type[Trigger[OptionsT]]], TriggerType[OptionsT]]:
    """Declares a trigger; the class's docstring is what users read."""
    return lambda cls: TriggerType(name, options, cls())


DecodeAll = Callable[[Iterable[dict[str, Any]], list[StreamEvent]], None]
"""Puts the events of parsed SSE `data` objects into a list; those before an error, too."""


class Decoder:
    """What `Provider.decoder` gives where it takes many objects at once. It is a function of one, too."""

    __slots__ = ("all",)

    def __init__(self, all: DecodeAll) -> None:
        self.all = all

    def __call__(self, chunk: dict[str, Any]) -> Iterable[StreamEvent]:
        events: list[StreamEvent] = []
        self.all((chunk,), events)
        return events

    @staticmethod
    def each(decode: Callable[[dict[str, Any]], Iterable[StreamEvent]]) -> DecodeAll:
        """The same, of a function of one object."""

        def decode_all(chunks: Iterable[dict[str, Any]], events: list[StreamEvent]) -> None:
            for chunk in chunks:
                events += decode(chunk)

        return decode_all


class Provider:
    """One wire format, as pure mappings: no I/O here. `ai/call.py` does the HTTP, once for all.

    request_id_headers: the headers of an answer that hold the vendor's name for the request, the best first.
    most_embedding_inputs: texts in one request for vectors; more are sent in several requests.
    """

    request_id_headers: ClassVar[tuple[str, ...]] = ("x-request-id", "request-id")
    most_embedding_inputs: ClassVar[int] = 2048

    def request(self, endpoint: Endpoint, model: "ModelDefinition", call: Call) -> WireRequest:
        """The HTTP request for a call; `call.stream` says which kind."""
        raise NotImplementedError

    def response(self, body: Mapping[str, Any]) -> Iterator[StreamEvent]:
        """A whole, not streamed answer, as the same events that a stream would give; ends in `Finished`."""
        raise NotImplementedError

    def decoder(self) -> Callable[[dict[str, Any]], Iterable[StreamEvent]]:
        """For one stream: a function from each parsed SSE `data` object to its events. May raise `AIError`.

        A `Decoder` is one that takes several at once, which is cheaper.
        """
        raise NotImplementedError

    def error(self, status: int, headers: Mapping[str, str], body: Any) -> AIError:
        """The typed error for an answer that is not 2xx. body: parsed JSON, or text."""
        raise NotImplementedError

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """The vendor's name for the request, to be told to its support. headers: of any answer, read in any case."""
        for name in self.request_id_headers:
            if value := headers.get(name):
                return value
        return None

    def embedding_request(self, endpoint: Endpoint, call: EmbeddingCall) -> WireRequest:
        """The HTTP request that makes vectors. Raises `UnsupportedCapability` where the provider makes none."""
        raise UnsupportedCapability(f"`{endpoint.provider}` makes no embeddings.", capability="embeddings")

    def embeddings(self, body: Mapping[str, Any]) -> Embeddings:
        """The vectors of an answer, in the order of the inputs."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ProviderType:
    """A provider by name. default_base_url: None = has to be configured. key_variables: the vendor's own variables."""

    name: str
    provider: Provider
    default_base_url: str | None = None
    key_variables: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        return (type(self.provider).__doc__ or "").strip()


def provider(
    name: str, *, default_base_url: str | None = None, key_variables: tuple[str, ...] = ()
) -> Callable[[type[Provider]], ProviderType]:
    """Declares a provider."""
    return lambda cls: ProviderType(name, cls(), default_base_url, key_variables)


@dataclass(frozen=True, slots=True)
class StorageType(Generic[OptionsT]):
    """A kind of storage for the bytes of files, such as `local`.

    open(options, folder): without any I/O. folder: where relative paths begin.
    """

    name: str
    options: type[OptionsT]
    open: Callable[[OptionsT, Path], "Storage"]

    @property
    def description(self) -> str:
        return (self.open.__doc__ or "").strip()


def storage(
    name: str, options: type[OptionsT]
) -> Callable[[Callable[[OptionsT, Path], "Storage"]], StorageType[OptionsT]]:
    """Declares a storage driver: a class that is made of its options and the folder where relative paths begin."""
    return lambda open_: StorageType(name, options, open_)


@dataclass(frozen=True, slots=True)
class FilterType:
    """A template filter: `{{ value | name(arguments) }}`. apply(value, *arguments) is pure."""

    name: str
    apply: Callable[..., Any]

    @property
    def description(self) -> str:
        return (self.apply.__doc__ or "").strip()


def template_filter(name: str) -> Callable[[Callable[..., Any]], FilterType]:
    """Declares a template filter."""
    return lambda apply: FilterType(name, apply)


FOLDERS: dict[type, str] = {
    OperationType: "operations",
    TriggerType: "triggers",
    ProviderType: "providers",
    StorageType: "storage",
    FilterType: "filters",
}
"""Which folder of an extension package has which kind."""


@dataclass(slots=True)
class Registry:
    """Finds extensions by kind and name: first those given in `extra`, then each package's module of that name."""

    packages: tuple[str, ...] = ()
    extra: tuple[Any, ...] = ()
    _found: dict[tuple[type, str], Any] = field(default_factory=dict)

    @classmethod
    def discover(cls, folder: Path | None = None) -> "Registry":
        """Everything installed under the entry point group `datastead`, and the `*.py` of a project folder."""
        points = entry_points(group=ENTRY_POINT_GROUP)
        packages = tuple(dict.fromkeys(point.value for point in points))
        files = sorted(folder.glob("*.py")) if folder is not None and folder.is_dir() else []
        return cls(packages, tuple(found for file in files for found in _extensions_of(_load_file(file))))

    def operation(self, name: str) -> OperationType[Any]:
        return self._get(OperationType, "operation", name)

    def trigger(self, name: str) -> TriggerType[Any]:
        return self._get(TriggerType, "trigger", name)

    def provider(self, name: str) -> ProviderType:
        return self._get(ProviderType, "provider", name)

    def storage(self, name: str) -> StorageType[Any]:
        return self._get(StorageType, "storage driver", name)

    def filter(self, name: str) -> FilterType:
        return self._get(FilterType, "template filter", name)

    def all(self, kind: type[E]) -> dict[str, E]:
        """Every extension of a kind, by name. Loads all their modules."""
        own = {found.name: found for found in self.extra if isinstance(found, kind)}
        modules = (module for package in self.packages for module in _modules_of(package, FOLDERS[kind]))
        theirs = {
            found.name: found for module in modules for found in _extensions_of(module) if isinstance(found, kind)
        }
        return dict(sorted({**theirs, **own}.items()))

    def _get(self, kind: type[E], word: str, name: str) -> E:
        found = self._found.get((kind, name)) or self._look_up(kind, name)
        if found is None:
            names = ", ".join(f"`{known}`" for known in self.all(kind))
            raise InvalidFlow(f"There is no {word} `{name}`: use one of {names}.", reason=f"unknown {word}", value=name)
        self._found[(kind, name)] = found
        return found

    def _look_up(self, kind: type[E], name: str) -> E | None:
        candidates = [*self.extra]
        for package in self.packages:
            module = _module_named(f"{package}.{FOLDERS[kind]}.{name.replace('-', '_')}")
            candidates += _extensions_of(module) if module else []
        matching = (found for found in candidates if isinstance(found, kind) and getattr(found, "name", None) == name)
        return next(matching, None) or self.all(kind).get(name)


def _extensions_of(module: ModuleType) -> list[Any]:
    return [value for value in vars(module).values() if isinstance(value, tuple(FOLDERS))]


def _module_named(name: str) -> ModuleType | None:
    try:
        found = (
            name.isascii() and all(part.isidentifier() for part in name.split(".")) and importlib.util.find_spec(name)
        )
    except ModuleNotFoundError:
        return None
    return importlib.import_module(name) if found else None


def _modules_of(package: str, folder: str) -> Iterator[ModuleType]:
    parent = _module_named(f"{package}.{folder}")
    if parent is None:
        return
    for info in pkgutil.iter_modules(parent.__path__):
        yield importlib.import_module(f"{parent.__name__}.{info.name}")


def _load_file(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"datastead_extension_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise InvalidExtension(f"`{file}` cannot be loaded as a Python module.", file=str(file))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InvalidExtension(f"`{file}` failed to load: {error}", file=str(file)) from error
    return module
