"""What the simulator is told to do: one `Behaviour` a request, out of a `Script`."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from threading import Lock
from typing import Any, Literal, get_args

Kind = Literal[
    "answer",
    "rate-limit",
    "quota",
    "unavailable",
    "overloaded",
    "context-length",
    "bad-key",
    "model-not-found",
    "no-route",
    "content-filter",
    "malformed",
    "cut",
    "error-in-stream",
    "body",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a request is answered.

    kind: `answer`, or what goes wrong; or `body`: the answer is `body`, byte for byte, as some vendor's is.
    model, prompt: only for requests of this model, with this text in the prompt.
    times: for how many requests; 0 = for all that follow. status: the HTTP status of `unavailable` (503) and `body`
    (200). headers: sent with the answer, whatever it is.
    body: text (server-sent events where the request asks for a stream), or JSON; with `cut`, what comes before it.
    retry_after_s: sent with `rate-limit`, `unavailable` and `overloaded`, in the vendor's own way.
    delay_s: before the first byte. chunk_delay_s: before each piece of a stream.
    chunks: into how many pieces a streamed text is split. after_chunks: pieces sent before `cut` and `error-in-stream`.
    text, reasoning, tool, arguments: the answer; without them it is made up from the prompt.
    tool_calls: more than one call: `{"name": …, "arguments": …}` each.
    usage: False = none; or the parts to report: `input`, `output`, `cache_read`, `cache_write`, `reasoning`.
    """

    kind: Kind = "answer"
    model: str | None = None
    prompt: str | None = None
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | Mapping[str, Any] | Sequence[Any] | None = None
    retry_after_s: float | None = None
    delay_s: float = 0
    chunk_delay_s: float = 0
    chunks: int | None = None
    after_chunks: int = 3
    text: str | None = None
    reasoning: str | None = None
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    usage: bool | Mapping[str, int] = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"There is no behaviour `{self.kind}`: use one of {', '.join(KINDS)}.")

    @classmethod
    def of(cls, value: "Behaviour | Mapping[str, Any]") -> "Behaviour":
        """A behaviour out of JSON; raises `ValueError` on a key that there is not."""
        if isinstance(value, Behaviour):
            return value
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise ValueError(f"A behaviour has no `{unknown[0]}`: use {', '.join(sorted(known))}.")
        return cls(**{**value, "tool_calls": tuple(value.get("tool_calls", ()))})

    def fits(self, model: str, prompt: str) -> bool:
        return self.model in {None, model} and (self.prompt is None or self.prompt in prompt)


ScriptInput = Behaviour | Mapping[str, Any] | Sequence[Behaviour | Mapping[str, Any]]


class Script:
    """A queue of behaviours, taken in order by the requests that fit; without one, the default. Safe across threads."""

    def __init__(self) -> None:
        self.default = Behaviour()
        self._queue: deque[Behaviour] = deque()
        self._lock = Lock()

    def add(self, given: ScriptInput) -> None:
        """Puts behaviours at the end of the queue."""
        several = [given] if isinstance(given, Behaviour | Mapping) else given
        behaviours = [Behaviour.of(each) for each in several]
        with self._lock:
            self._queue.extend(behaviours)

    def clear(self) -> None:
        """Forgets the queue and the default."""
        with self._lock:
            self._queue.clear()
            self.default = Behaviour()

    def take(self, model: str, prompt: str) -> Behaviour:
        """The behaviour for a request."""
        if not self._queue:
            return self.default
        with self._lock:
            for position, behaviour in enumerate(self._queue):
                if behaviour.fits(model, prompt):
                    self._use(position, behaviour)
                    return behaviour
        return self.default

    def _use(self, position: int, behaviour: Behaviour) -> None:
        if behaviour.times == 1:
            del self._queue[position]
        elif behaviour.times > 1:
            self._queue[position] = replace(behaviour, times=behaviour.times - 1)

    def __len__(self) -> int:
        return len(self._queue)
