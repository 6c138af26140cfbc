"""One attempt at a model call: what is sent, what has come back, and what both come to. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import getrandbits
from time import perf_counter, time_ns
from typing import Any

import orjson

from datastead.ai.bounds import estimate_prompt, estimate_tokens
from datastead.ai.budgets import Warnings
from datastead.ai.entries import SettledState, Settlement
from datastead.ai.plans import Plan, Request
from datastead.ai.prices import Price, cost_nano_usd
from datastead.ai.results import AttemptMade, Collected, GenerationResult
from datastead.ai.sse import SseParser
from datastead.errors import AIError, ContentFiltered, DatasteadError, ProviderUnavailable
from datastead.extensions import DecodeAll, Decoder
from datastead.messages import EmbeddingCall, Finished, Started, StreamEvent, Usage, UsageReport

CANCELLED = "CANCELLED"
"""The ledger's error code of a call that its caller gave up."""

LONGEST_ERROR = 1000  # characters, in the ledger
SHORTEST_SECRET = 6

_NOT_AS_DOCUMENTED = (KeyError, IndexError, TypeError, AttributeError, ValueError)
"""What a mapping raises over an answer that is not of the documented shape."""


@dataclass(slots=True)
class Attempt:
    """An attempt under way.

    sent: whether the provider may have seen the request. is_json: its answer is one JSON document, though a stream was
    asked for. at_end: nothing more comes. was_cut: it ended too early. is_closed: its settlement is being written.
    warnings: of budgets. problem: what the provider said after the events that were read last. request_id: the vendor's
    name for it.
    """

    id: str
    plan: Plan
    request: Request
    collected: Collected = field(default_factory=Collected)
    began: float = field(default_factory=perf_counter)
    sent: bool = True
    is_json: bool = False
    at_end: bool = False
    was_cut: bool = False
    is_closed: bool = False
    problem: AIError | None = None
    warnings: Warnings = ()
    request_id: str | None = None
    _parser: SseParser | None = None
    _decode: DecodeAll | None = None
    _whole: bytes = b""

    @property
    def waited_s(self) -> float:
        """Seconds since it began."""
        return perf_counter() - self.began

    def read(self, body: bytes) -> None:
        """Takes in a whole answer. Raises an `AIError` where it is one, or is not as documented."""
        parsed = _parsed(body)
        if not isinstance(parsed, dict):
            raise ProviderUnavailable(f"`{self.plan.target.source.name}` answered with something that is not JSON.")
        try:
            if self.plan.embedding is not None:
                self._read_vectors(self.plan.embedding, parsed)
                return
            for event in self.plan.target.provider.response(parsed):
                self.collected.add(event)
        except _NOT_AS_DOCUMENTED as error:
            raise self._odd_answer() from error

    def _read_vectors(self, embedding: EmbeddingCall, parsed: dict[str, Any]) -> None:
        found = self.plan.target.provider.embeddings(parsed)
        self.collected.add(Started(None, found.model))
        if found.usage is not None:
            self.collected.add(UsageReport(found.usage))
        given, wanted = len(found.vectors), len(embedding.inputs)
        if given != wanted:
            name = self.plan.target.source.name
            raise ProviderUnavailable(f"`{name}` answered {wanted} texts with {given} vectors.")
        self.plan.vectors = found.vectors
        self.collected.add(Finished("stop"))

    def feed(self, received: bytes) -> list[StreamEvent]:
        """The events that a piece of a stream completes; no bytes = its end. What follows them is in `problem`."""
        self.at_end = not received
        if self.is_json:
            return self._feed_json(received)
        events: list[StreamEvent] = []
        try:
            self._decode_into(events, received)
        except AIError as error:
            self.problem = error
        except _NOT_AS_DOCUMENTED as error:
            self.problem = self._odd_answer()
            self.problem.__cause__ = error
        finally:
            self.collected.add_all(events)
        return events

    def raise_problem(self) -> None:
        """Raises what the provider said after the events that were read last, if anything."""
        if self.problem is not None:
            raise self.problem

    def _decode_into(self, events: list[StreamEvent], received: bytes) -> None:
        parser = self._parser = self._parser or SseParser()
        decode = self._decode or self._new_decoder()
        for chunks in parser.objects(received):
            decode(chunks, events)
        self.at_end = self.at_end or parser.done

    def _new_decoder(self) -> DecodeAll:
        decode = self.plan.target.provider.decoder()
        self._decode = decode.all if isinstance(decode, Decoder) else Decoder.each(decode)
        return self._decode

    def _feed_json(self, received: bytes) -> list[StreamEvent]:
        """Some endpoints answer a request for a stream with a whole answer."""
        self._whole += received
        if received:
            return []
        self.read(self._whole)
        return self.complete().events()

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> AIError:
        """The error that an HTTP answer other than 2xx means."""
        parsed = _parsed(body)
        said = body.decode(errors="replace") if parsed is None else parsed
        try:
            return self.plan.target.provider.error(status, headers, said)
        except _NOT_AS_DOCUMENTED as error:
            odd = self._odd_answer()
            odd.__cause__ = error
            return odd

    def complete(self) -> GenerationResult:
        """The result. Raises `ProviderUnavailable` where it was cut, `ContentFiltered` where it was withheld."""
        collected, target = self.collected, self.plan.target
        if collected.finished is None:
            self.was_cut = True
            raise ProviderUnavailable(f"`{target.source.name}` broke off in the middle of its answer.")
        if collected.is_empty and collected.finished.reason == "content-filter":
            raise ContentFiltered(provider_reason=collected.finished.raw_reason)
        usage, source = self.usage()
        started = collected.started
        cost, cost_source = billed(target.price, usage)
        return GenerationResult(
            content=collected.text,
            usage=usage,
            cost_nano_usd=cost,
            model=target.definition.model,
            provider=target.source.name,
            finish_reason=collected.finished.reason,
            call=self.id,
            reasoning=collected.reasoning_text or None,
            reasoning_parts=tuple(collected.reasoning_parts),
            tool_calls=tuple(collected.tool_calls),
            response_id=started.response_id if started else None,
            response_model=started.model if started else None,
            usage_source=source,
            warnings=self.warnings,
            cost_source=cost_source,
            attempts=(*self.plan.made, AttemptMade(target.source.name, target.definition.model, None, self.id)),
        )

    def usage(self) -> tuple[Usage, str]:
        """The tokens used so far, and whether the provider says so (of a whole answer) or they are estimated."""
        reported = self.collected.usage
        if reported is not None and self.collected.finished is not None:
            return reported, "provider"
        return self._estimated(reported), "estimated"

    def settled(self, result: GenerationResult, *, record: bool) -> Settlement:
        """The settlement of a whole answer."""
        return Settlement(
            id=self.id,
            state="settled",
            usage=result.usage,
            usage_source=result.usage_source,
            cost_nano_usd=result.cost_nano_usd,
            cost_source=result.cost_source,
            latency_ms=self._since_began(perf_counter()),
            first_token_ms=self._first_token_ms(),
            response_id=result.response_id,
            response_model=result.response_model,
            provider_request_id=self.request_id,
            finish_reason=result.finish_reason,
            key=self.plan.key,
            answer=result.to_answer() if self.plan.key is not None else None,
            recorded=result.to_dict() if record else None,
        )

    def ended(self, error: Exception | None, *, broken: bool, record: bool) -> Settlement:
        """The settlement of an attempt that came to nothing, or was given up (`error` is None).

        error: an `AIError`, or a bug of ours or of an extension.
        broken: the answer was under way, and stopped. What arrived is paid; what was refused is not. Where a whole
        answer was on its way and never came, nobody knows: it stays in doubt, with its hold.
        """
        state, usage, source = self._outcome(broken)
        started, finished = self.collected.started, self.collected.finished
        if state == "in_doubt" and isinstance(error, AIError):
            error.details["in_doubt"] = True
        cost, cost_source = billed(self.plan.target.price, usage or Usage())
        code, said = _said(error)
        return Settlement(
            id=self.id,
            state=state,
            usage=usage,
            usage_source=source,
            cost_nano_usd=None if state == "in_doubt" else cost,
            cost_source=None if usage is None else cost_source,
            latency_ms=self._since_began(perf_counter()),
            first_token_ms=self._first_token_ms(),
            response_id=started.response_id if started else None,
            response_model=started.model if started else None,
            provider_request_id=self.request_id,
            finish_reason=finished.reason if finished else None,
            error_code=code,
            error=said,
            recorded={"content": self.collected.text} if record and self.collected.texts else None,
        )

    def _outcome(self, broken: bool) -> tuple[SettledState, Usage | None, str]:
        collected = self.collected
        if not self.sent:
            return "failed", None, "none"
        if broken and not self.plan.call.stream and collected.finished is None:
            return "in_doubt", None, "none"
        if broken or collected.finished is not None or not collected.is_empty:
            return "settled", *self.usage()
        if collected.usage is not None:
            return "failed", collected.usage, "provider"
        return "failed", None, "none"

    def _estimated(self, reported: Usage | None) -> Usage:
        """What the provider reported so far, with the output counted from what arrived; never above the hold."""
        call, bounds, collected = self.plan.call, self.request.bounds, self.collected
        arguments = "".join(str(tool.arguments) for tool in collected.tool_calls)
        reasoning = estimate_tokens(collected.reasoning_text)
        if reported is not None:  # what the provider counts, and does not show
            reasoning = max(reasoning, reported.reasoning)
        output = min(estimate_tokens(collected.text + arguments) + reasoning, bounds.output)
        if reported is None:
            return Usage(
                input=min(estimate_prompt(call), bounds.input), output=output, reasoning=min(reasoning, output)
            )
        if output <= reported.output:
            return reported
        return replace(
            reported, output=output, reasoning=max(reported.reasoning, min(reasoning, output)), cost_nano_usd=None
        )

    def _first_token_ms(self) -> int | None:
        first = self.collected.first_at
        return None if first is None else self._since_began(first)

    def _since_began(self, moment: float) -> int:
        return int((moment - self.began) * 1000)

    def _odd_answer(self) -> ProviderUnavailable:
        return ProviderUnavailable(f"`{self.plan.target.source.name}` answered in a shape that is not documented.")


def _said(error: Exception | None) -> tuple[str, str]:
    """The ledger's code and text of what an attempt ended in; of a bug no more than its kind, as it may quote a key."""
    if error is None:
        return CANCELLED, "Given up by the caller."
    if isinstance(error, AIError):
        return error.code, error.message[:LONGEST_ERROR]
    return DatasteadError.code, f"An error of this program ended it ({type(error).__name__}): see the log."


def billed(price: Price, usage: Usage) -> tuple[int | None, str | None]:
    """What a call cost, in nano-USD, and who says so: `provider` where it does itself, else our `price`."""
    if usage.cost_nano_usd is not None:
        return usage.cost_nano_usd, "provider"
    cost = cost_nano_usd(price, usage)
    return cost, None if cost is None else "price"


def new_id() -> str:
    """A UUID of version 7: rows that are written together lie together, which a random one would not give."""
    milliseconds = time_ns() // 1_000_000
    number = milliseconds << 80 | 7 << 76 | getrandbits(12) << 64 | 2 << 62 | getrandbits(62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def explained(error: AIError, attempt: Attempt) -> AIError:
    """The error, with what it is about in its details, and with no secret in it."""
    target = attempt.plan.target
    error.details.setdefault("provider", target.source.name)
    error.details.setdefault("model", target.definition.model)
    error.details.setdefault("call", attempt.id)
    secrets = [target.endpoint.api_key, *target.endpoint.headers.values()]
    for secret in secrets:
        if secret and len(secret) >= SHORTEST_SECRET:
            error.message = error.message.replace(secret, "[redacted]")
            error.details = {name: _without(secret, value) for name, value in error.details.items()}
    error.args = (error.message,)
    return error


def _without(secret: str, value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(secret, "[redacted]")
    return value if isinstance(value, int | float | None) or secret not in repr(value) else "[redacted]"


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
