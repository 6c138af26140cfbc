"""`AI`: models, from Python. A server has one for all; a script makes its own, with or without a database."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from datastead.ai.alarms import Alarms, Subscriber
from datastead.ai.bounds import check_call
from datastead.ai.breaker import Breakers, BreakerState
from datastead.ai.context_window import TokenCount, count
from datastead.ai.endpoints import Endpoints
from datastead.ai.listing import is_found, model_json
from datastead.ai.models import ModelDefinition
from datastead.ai.observers import Observer, Observers
from datastead.ai.portal import Portal
from datastead.ai.preparation import Job, Preparer, needs_preparation, repair_key
from datastead.ai.price_list import PriceList, declared_price, entry_json, valid_at
from datastead.ai.replays import may_be_replayed, replayed
from datastead.ai.requests import (
    LONGEST_KEY,
    LONGEST_PURPOSE,
    CallOptions,
    Fallback,
    build_call,
    cache_ttl_of,
    check_names,
    fallbacks_of,
    text_option,
    timeout_of,
    who_of,
)
from datastead.ai.results import GenerationResult
from datastead.ai.streams import GenerationStream, StreamState, SyncStream
from datastead.ai.targets import Targets
from datastead.context import Clock, system_clock
from datastead.errors import AIError, InvalidOutput, InvalidRequest, ProviderNotConfigured
from datastead.extensions import Registry
from datastead.messages import Call, EmbeddingCall, StreamEvent
from datastead.settings import Settings, load_settings

if TYPE_CHECKING:
    from datastead.ai.attachments import FileSource
    from datastead.ai.call import Caller
    from datastead.ai.embedding import EmbeddingResult, EmbedOptions
    from datastead.ai.ledger import Ledger
    from datastead.ai.plans import Plan, Target
    from datastead.ai.sweeps import Sweeps
    from datastead.data.engine import Connection, Database

__all__ = ["AI", "CallOptions", "GenerationResult", "GenerationStream"]


log = logging.getLogger(__name__)


class AI:
    """Calls models, of every provider in the same way, and keeps the ledger.

    files: where attachments of the form `{type: 'file', fileId}` are read.
    Without a database the ledger is in memory. It starts by itself with the first call; `async with AI() as ai` (or
    `with AI() as ai` for the twins that end in `_sync`) also closes it. It belongs to the event loop it started in.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        database: "Database | None" = None,
        registry: Registry | None = None,
        files: "FileSource | None" = None,
        clock: Clock = system_clock,
        observers: Sequence[Observer] = (),
    ) -> None:
        """observers: are told of each attempt at a call, such as metrics and traces."""
        self._settings = settings or load_settings()
        self._observers = Observers(observers) if observers else None
        self._registry = registry or Registry.discover()
        self._endpoints = Endpoints(self._settings)
        self._clock = clock
        self._prices = PriceList(self._endpoints.priced(self._settings.ai_prices))
        self._targets = Targets(self._endpoints, self._registry, self._prices, clock)
        self._preparer = Preparer(self._settings, files, set())
        self._given_database = database
        self._own_database: Database | None = None
        self._breakers = Breakers(clock)
        self._ledger: Ledger | None = None
        self._caller: Caller | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None
        self._portal: Portal | None = None
        self._sweeps: Sweeps | None = None
        self._alarms = Alarms()
        self._announcements: set[asyncio.Task[None]] = set()
        self._on_budget_warning: Subscriber | None = None

    async def generate(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> GenerationResult:
        """A model's whole answer. Raises an `AIError`, whose `code` says what went wrong."""
        check_names(options)
        caller = await self._started()
        if not needs_preparation(options):
            return await caller.generate(self._plan(prompt, options, stream=False))
        replay = await self._replayed(options)
        if replay is not None:
            return replay
        job = await self._prepared(prompt, options)
        while True:
            try:
                result = job.took(await caller.generate(self._plan(None, job.asked(), stream=False, fits=job.fits)))
            except InvalidOutput:
                raise
            except AIError as error:
                job.failed(error)
            else:
                if result is not None:
                    return result

    async def object(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> GenerationResult:
        """A model's answer as a value that fits `schema`: in `result.object`. Raises `InvalidOutput` where it does not.

        schema: a JSON schema, or a pydantic model, of which the value is an instance then.
        """
        if options.get("schema") is None:
            raise TypeError("`schema` is missing: what shall the answer be?")
        return await self.generate(prompt, **options)

    async def count_tokens(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> TokenCount:
        """How many tokens the call would have, before it is sent. Takes what `generate` takes."""
        check_names(options)
        definition = self._targets.find(options["model"], options.get("provider")).definition
        call = await self._preparer.call(prompt, options, definition)
        return await asyncio.to_thread(count, call, definition)

    def generate_stream(
        self, prompt: str | None = None, *, stream: Literal[True] = True, **options: Unpack[CallOptions]
    ) -> GenerationStream:
        """A model's answer as it comes: `async for event in ai.generate_stream(…): print(event.content, end="")`.

        stream: may be said, as in JavaScript; it is nothing else here.
        """
        from datastead.ai.call import Caller

        if stream is not True:
            raise InvalidRequest("`stream` is always true here: use `generate` for a whole answer.", parameter="stream")
        check_names(options)

        async def begin() -> "tuple[Caller, Plan]":
            return await self._started(), self._plan(prompt, options, stream=True)

        state = StreamState()
        if needs_preparation(options):
            return GenerationStream(self._prepared_stream(prompt, options, state), state)
        return GenerationStream(Caller.stream(begin, state), state)

    async def _prepared_stream(
        self, prompt: str | None, options: CallOptions, state: StreamState
    ) -> AsyncGenerator[StreamEvent, None]:
        """A stream with what is around it. Where an answer has to be mended, another follows, with a `Started`."""
        from datastead.ai.call import Caller

        caller = await self._started()
        state.result = await self._replayed(options)
        if state.result is not None:
            for event in state.result.events():
                yield event
            return
        job = await self._prepared(prompt, options)

        async def begin() -> "tuple[Caller, Plan]":
            return caller, self._plan(None, job.asked(), stream=True, fits=job.fits)

        while state.result is None:
            one = StreamState()
            try:
                async with aclosing(Caller.stream(begin, one)) as events:
                    async for event in events:
                        state.call = one.call
                        yield event
            except AIError as error:
                job.failed(error)
            else:
                assert one.result is not None
                state.result = job.took(one.result)

    async def _replayed(self, options: CallOptions) -> GenerationResult | None:
        """The answer of a call with files that its key has already."""
        if not may_be_replayed(options):
            return None
        target = self._targets.find(options["model"], options.get("provider"))
        ledger = await self._opened()
        result = await replayed(self._preparer.unread(options, target.definition), ledger.answer)
        if result is not None and self._observers is not None:
            self._observers.reused(target, result)
        return result

    async def _prepared(self, prompt: str | None, options: CallOptions) -> Job:
        target = self._targets.find(options["model"], options.get("provider"))
        return await self._preparer.job(prompt, options, target.definition)

    async def embed(self, inputs: str | Sequence[str], **options: "Unpack[EmbedOptions]") -> "EmbeddingResult":
        """One vector for each text. Many texts go in several requests, each of them a row of the ledger."""
        from datastead.ai.embedding import EMBED_NAMES, embedding_calls, joined

        check_names(options, EMBED_NAMES)
        caller = await self._started()
        target = self._targets.find(options["model"], options.get("provider"))
        assert self._loop is not None
        now = self._loop.time()
        done = []
        for call in embedding_calls(inputs, options, target):
            plan = self._embedding_plan(call, options, target, now)
            done.append((plan, await caller.generate(plan)))
        return joined(target, done)

    def embed_sync(self, inputs: str | Sequence[str], **options: "Unpack[EmbedOptions]") -> "EmbeddingResult":
        """`embed`, for scripts."""
        return self._in_portal().run(lambda: self.embed(inputs, **options))

    def generate_sync(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> GenerationResult:
        """`generate`, for scripts: waits for the answer."""
        return self._in_portal().run(lambda: self.generate(prompt, **options))

    def object_sync(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> GenerationResult:
        """`object`, for scripts."""
        return self._in_portal().run(lambda: self.object(prompt, **options))

    def generate_stream_sync(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> SyncStream:
        """`generate_stream`, for scripts: `for event in …`. Left early, it stops the provider."""
        return SyncStream(self.generate_stream(prompt, **options), self._in_portal())

    def on_budget_warning(self, subscriber: Subscriber) -> None:
        """`await subscriber(warning)` when a budget that only warns is passed, once per window; see `alarms`."""
        self._on_budget_warning = subscriber

    def breakers(self) -> "dict[str, BreakerState]":
        """The providers that are left alone for now, as they have failed again and again: `open` or `half-open`."""
        return self._breakers.states()

    def models(self, *, all: bool = False) -> list[ModelDefinition]:
        """The models that are configured and allowed here, with the prices of now.

        all: also those that are known by genai-prices alone.
        """
        now = self._clock()
        return [self._prices.priced(model, now) for model in self._endpoints.models(all=all)]

    async def price_list(self, model: str | None = None, provider: str | None = None) -> list[dict[str, Any]]:
        """The entries of the price list; with a model all that is known about its price, the current one marked.

        JSON as `price_list.entry_json` has it. Raises an `AIError` where nobody has the model.
        """
        await self._look_at_prices()
        now = self._clock()
        return self._prices.all(now) if model is None else self._prices.history(self.described(model, provider), now)

    def described(self, model: str, provider: str | None = None) -> ModelDefinition:
        """What is known about a model, whether or not it can be called here. Raises an `AIError`."""
        return self._endpoints.described(model, provider)

    async def set_price(self, values: Mapping[str, Any], user: str | None = None) -> dict[str, Any]:
        """Adds an entry to the price list; every process sees it within a second. JSON as `price_list` has it.

        values: `{model, provider?, input, output, …, long?, tiers?, limits?, valid_from?}`. Raises `InvalidRequest`
        where that is wrong or there is no database, and `ModelNotFound` where only the provider's name would help.
        """
        from datastead.ai.price_entries import add_entry

        await self._opened()
        if self._given_database is None:
            raise InvalidRequest("A price list needs a database; without one, set `AI_PRICES`.")
        price = declared_price({**values, **self._priced_model(values)})
        entry = await add_entry(self._given_database, price, user=user, now=self._clock())
        await self._look_at_prices()
        valid = valid_at(self._prices.of(entry.provider, entry.model), self._clock())
        return entry_json(entry, current=valid is not None and valid.id == entry.id)

    def _priced_model(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The provider's own name, and the model's id at it."""
        model, provider = values.get("model"), values.get("provider")
        if not isinstance(model, str) or not isinstance(provider, str | None):
            return {}
        described = self.described(model, provider)
        return {"provider": described.provider, "model": described.model}

    async def list_models(
        self, *, all: bool = False, provider: str | None = None, search: str | None = None
    ) -> list[dict[str, Any]]:
        """`models` as JSON, in the shape of `listing.model_json`, with what other processes have priced meanwhile.

        provider: only this one's, by any of its names. search: only those with this text in their id or name.
        """
        await self._look_at_prices()
        name = None if provider is None else self._endpoints.provider_name(provider)
        return [
            model_json(model, self._endpoints.title(model.provider))
            for model in self.models(all=all)
            if (name is None or model.provider == name) and (search is None or is_found(model, search))
        ]

    async def _look_at_prices(self) -> None:
        """Sees what other processes have added to the price list."""
        if self._given_database is None:
            return
        from datastead.ai.price_entries import refresh

        if await refresh(self._prices, self._given_database, time.monotonic()):
            self._targets.forget()

    def providers(self) -> list[str]:
        """The names of the providers that can be called here."""
        return self._endpoints.providers()

    def reconfigure(self, settings: Settings, problems: Mapping[str, str] | None = None) -> None:
        """Other providers, from the next call on; calls under way go on with what they had.

        problems: why a provider cannot be called, by its name.
        """
        endpoints = Endpoints(settings, problems)
        self._preparer.words_only.clear()  # another endpoint may take schemas
        self._endpoints, self._targets = endpoints, Targets(endpoints, self._registry, self._prices, self._clock)

    def wire_of(self, model: str, provider: str | None = None) -> str:
        """The name of the wire format that a model is reached through. Raises an `AIError` where there is no such."""
        return self._targets.find(model, provider).source.wire

    async def release(self, key: str, connection: "Connection | None" = None) -> None:
        """Lets go of the answer that is kept for a key: whoever asked for it has saved it, in the same transaction."""
        ledger = await self._opened()
        await ledger.release(key, connection)
        await ledger.release(repair_key(key), connection)

    async def start(self) -> None:
        """Opens the ledger. What processes held that have died since becomes `in_doubt`."""
        await self._opened()

    async def close(self) -> None:
        """Settles what is under way, and closes the connections."""
        caller, self._caller, ledger, self._ledger, self._starting = self._caller, None, self._ledger, None, None
        if caller is not None:
            await caller.close()
        if self._sweeps is not None:
            await self._sweeps.stop()
            self._sweeps = None
        if ledger is not None:
            await ledger.close()
        if self._own_database is not None:
            await self._own_database.close()
            self._own_database = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __enter__(self) -> Self:
        self._in_portal()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_sync()

    def close_sync(self) -> None:
        """`close`, for scripts."""
        portal, self._portal = self._portal, None
        if portal is not None:
            portal.run(self.close)
            portal.close()

    def _warned(self, warning: "Mapping[str, Any]") -> None:
        if self._alarms.is_new(warning) and self._on_budget_warning is not None:
            task = asyncio.ensure_future(self._announce(self._on_budget_warning, warning))
            self._announcements.add(task)
            task.add_done_callback(self._announcements.discard)

    @staticmethod
    async def _announce(subscriber: Subscriber, warning: "Mapping[str, Any]") -> None:
        """A warning that cannot be told does not fail the call; it is in the log, and in the call's result."""
        try:
            await subscriber(warning)
        except Exception:
            log.exception("The event of a budget's warning failed.")

    async def _started(self) -> "Caller":
        """The caller of this loop, made with the first call: what it does HTTP with takes a while to load."""
        ledger = await self._opened()
        if self._caller is None:
            from datastead.ai.cache import ResponseCache
            from datastead.ai.call import Caller

            database = self._given_database or self._own_database
            assert database is not None
            self._caller = Caller(
                ledger,
                cache=ResponseCache(database, ledger, self._clock),
                breakers=self._breakers,
                record=self._settings.ai_record_io,
                max_tokens_default=self._settings.ai_max_tokens_default,
                observers=self._observers,
            )
        return self._caller

    async def _opened(self) -> "Ledger":
        loop = asyncio.get_running_loop()
        if self._ledger is not None and loop is self._loop:
            if self._given_database is not None and self._prices.is_stale(time.monotonic()):
                await self._look_at_prices()
            return self._ledger
        if self._loop not in {None, loop} and (self._ledger is not None or self._starting is not None):
            raise InvalidRequest("This `AI` was started in another event loop: close it there, or make another one.")
        if self._starting is None:
            self._loop, self._starting = loop, loop.create_task(self._start())
        try:
            await asyncio.shield(self._starting)
        except BaseException:
            if self._starting is not None and self._starting.done():
                self._starting = None  # the next call tries again
            raise
        assert self._ledger is not None
        return self._ledger

    async def _start(self) -> None:
        from datastead.ai.ledger import Ledger

        database = self._given_database
        if database is None:
            from datastead.ai.memory import open_in_memory

            database = self._own_database = await open_in_memory()
        await self._look_at_prices()
        ledger = Ledger(database, self._clock, self._warned)
        await ledger.doubt_the_dead()
        if self._own_database is None:
            from datastead.ai.sweeps import Sweeps

            self._sweeps = Sweeps(ledger, answers_ttl_s=self._settings.ai_http_answers_ttl)
        self._ledger = ledger

    def _plan(
        self,
        prompt: str | None,
        options: CallOptions,
        *,
        stream: bool,
        fits: Callable[[GenerationResult], bool] | None = None,
    ) -> "Plan":
        from datastead.ai.plans import Caching, Plan

        def choose(target: "Target") -> Call:
            call = build_call(prompt, options, target.definition, stream=stream)
            check_call(call, target.definition)
            return call

        target = self._targets.find(options["model"], options.get("provider"))
        assert self._loop is not None
        now, timeout_s = self._loop.time(), timeout_of(options, self._settings.ai_timeout_s)
        context, ttl_s = options.get("context"), cache_ttl_of(options)
        fallbacks = fallbacks_of(options)
        plan = Plan(
            target=target,
            call=choose(target),
            who=who_of(context),
            deadline=now + timeout_s,
            timeout_s=timeout_s,
            policy=options.get("in_doubt") or self._settings.ai_in_doubt,
            key=text_option(options, "key", LONGEST_KEY),
            purpose=text_option(options, "purpose", LONGEST_PURPOSE),
            caching=None if ttl_s is None else Caching(ttl_s, context.actor.fingerprint if context else "", fits),
            choose=choose,
        )
        if fallbacks:
            self._add_fallbacks(plan, fallbacks)
        plan.turn(now)
        return plan

    def _embedding_plan(self, call: EmbeddingCall, options: "EmbedOptions", target: "Target", began: float) -> "Plan":
        from datastead.ai.embedding import as_call
        from datastead.ai.plans import Plan

        timeout_s = timeout_of(options, self._settings.ai_timeout_s)
        plan = Plan(
            target=target,
            call=as_call(call),
            who=who_of(options.get("context")),
            deadline=began + timeout_s,
            timeout_s=timeout_s,
            policy=self._settings.ai_in_doubt,
            purpose=text_option(options, "purpose", LONGEST_PURPOSE),
            embedding=call,
        )
        plan.turn(began)
        return plan

    def _add_fallbacks(self, plan: "Plan", fallbacks: tuple[Fallback, ...]) -> None:
        """Looks them up before anything is sent, so that a wrong name is not found out on the day it is needed."""
        found = []
        for fallback in fallbacks:
            try:
                found.append(self._targets.find(fallback.model, fallback.provider))
            except ProviderNotConfigured as error:
                plan.skip(fallback.provider or "", fallback.model, error)
        plan.fallbacks = tuple(found)

    def _in_portal(self) -> Portal:
        if self._portal is None:
            self._portal = Portal()
        return self._portal
