"""A request and its answer without any vendor's words: what the wire formats read into, and write out of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Protocol

import orjson
from starlette.requests import Request

from datastead.testing.simulator import prose
from datastead.testing.simulator.behaviour import Behaviour, Kind

Finish = Literal["stop", "length", "tool-calls", "content-filter"]
FaultKind = Kind | Literal["invalid", "missing-key"]


class Fault(Exception):
    """A request that the vendor refuses. param, code: as OpenAI's errors have them."""

    def __init__(self, kind: FaultKind, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.param = param
        self.code = code
        self.status: int | None = None
        self.retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request wants.

    prompt: all its text, without the system's. tool_result: its end, where that is a tool's.
    tier: the service tier that is served. texts, dimensions, encoding: what shall become vectors, how long, and how
    they are written.
    """

    model: str
    prompt: str
    system: str = ""
    max_tokens: int | None = None
    schema: Mapping[str, Any] | None = None
    tools: tuple[str, ...] = ()
    must_call: str | None = None
    tool_result: str | None = None
    stream: bool = False
    include_usage: bool = True
    reasoning: bool = False
    tier: str | None = None
    texts: tuple[str, ...] = ()
    dimensions: int | None = None
    encoding: str = "float"


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens, in disjoint parts; reasoning is a part of output."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """A tool call of an answer."""

    id: str
    name: str
    arguments: Mapping[str, Any]

    @property
    def json(self) -> str:
        return orjson.dumps(self.arguments).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets. number: of the request, which makes its ids; counts: None where usage is left out."""

    number: int
    text: str
    pieces: tuple[str, ...]
    finish: Finish
    counts: Counts | None
    reasoning: str = ""
    calls: tuple[SimulatedCall, ...] = field(default=())


class Wire(Protocol):
    """One vendor's wire format."""

    def read(self, request: Request, body: Mapping[str, Any]) -> Ask:
        """The request as an `Ask`; raises `Fault` where the vendor would refuse it."""

    def refuse(self, fault: Fault) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of a refusal."""

    def headers(self, number: int) -> dict[str, str]:
        """The headers of an answer: the request's id, as the vendor has it."""

    def whole(self, ask: Ask, answer: Answer) -> Any:
        """The body of an answer that is not streamed."""

    def opening(self, ask: Ask, answer: Answer) -> bytes:
        """A stream's bytes before its text."""

    def piece(self, ask: Ask, answer: Answer, index: int, text: str) -> bytes:
        """A stream's bytes for a piece of text, the index-th."""

    def closing(self, ask: Ask, answer: Answer) -> bytes:
        """A stream's bytes after its text."""

    def broken(self) -> bytes:
        """A stream's bytes for an error in its middle."""


def sse(data: Any, event: str | None = None) -> bytes:
    """One server-sent event."""
    line = b"data: " + orjson.dumps(data) + b"\n\n"
    return line if event is None else b"event: " + event.encode() + b"\n" + line


def compose(ask: Ask, behaviour: Behaviour, number: int) -> Answer:
    """The answer to a request, as the behaviour has it."""
    if behaviour.kind == "content-filter":
        return Answer(number, "", (), "content-filter", _counts(ask, behaviour, "", ""))
    reasoning = behaviour.reasoning or ("I look at what the request asks for." if ask.reasoning else "")
    calls = _calls(ask, behaviour, number)
    if calls:
        spoken = behaviour.text or ""
        counts = _counts(ask, behaviour, spoken + "".join(call.name + call.json for call in calls), reasoning)
        return Answer(number, spoken, _pieces(spoken, behaviour), "tool-calls", counts, reasoning, calls)
    text, was_cut = _text(ask, behaviour)
    pieces = _pieces(text, behaviour)
    said = "".join(pieces)
    finish: Finish = "length" if was_cut else "stop"
    return Answer(number, said, pieces, finish, _counts(ask, behaviour, said, reasoning), reasoning)


def _pieces(text: str, behaviour: Behaviour) -> tuple[str, ...]:
    return _cached_pieces(text, behaviour.chunks)


@lru_cache(maxsize=64)
def _cached_pieces(text: str, chunks: int | None) -> tuple[str, ...]:
    return tuple(prose.pieces(text, chunks))


def _text(ask: Ask, behaviour: Behaviour) -> tuple[str, bool]:
    if behaviour.text is not None:
        return prose.hard_cut(behaviour.text, ask.max_tokens)
    if ask.schema is not None:
        value = orjson.dumps(prose.value_for(ask.schema, ask.prompt)).decode()
        return prose.hard_cut(value, ask.max_tokens)
    if ask.tool_result is not None:
        return prose.cut(f"The tool answered: {ask.tool_result[:400]}", ask.max_tokens)
    return prose.cut(prose.sentences(ask.prompt), ask.max_tokens)


def _calls(ask: Ask, behaviour: Behaviour, number: int) -> tuple[SimulatedCall, ...]:
    wanted = list(behaviour.tool_calls)
    if behaviour.tool is not None:
        wanted.insert(0, {"name": behaviour.tool, "arguments": behaviour.arguments})
    if not wanted and ask.must_call is not None:
        wanted = [{"name": ask.must_call, "arguments": {}}]
    return tuple(
        SimulatedCall(f"{number:06d}{position}", str(each.get("name")), dict(each.get("arguments") or {}))
        for position, each in enumerate(wanted)
    )


def _counts(ask: Ask, behaviour: Behaviour, said: str, reasoning: str) -> Counts | None:
    if behaviour.usage is False:
        return None
    if isinstance(behaviour.usage, Mapping):
        return Counts(**{"input": 0, "output": 0, **behaviour.usage})
    thought = prose.tokens(reasoning)
    before = prose.tokens(ask.system) + prose.tokens(ask.prompt) + 3
    return Counts(before, prose.tokens(said) + thought, reasoning=thought)
