"""No key comes out of the house, whatever providers, callers and the house itself do.

A new door (a route, a command, a table's export) is one more line in `ROUTES` or `COMMANDS`. What it shows is searched for every
key that was configured: through the environment, the settings row, and headers of each.
"""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from datastead import AI, Registry, Settings
from datastead.ai.engine import CallOptions
from datastead.ai.tracing import Tracing
from datastead.context import SYSTEM, Context, Services
from datastead.data import system
from datastead.data.project import ProjectSettings
from datastead.errors import DatasteadError
from datastead.services import open_services
from datastead.settings import load_settings
from datastead.testing.simulator import Simulator
from datastead.testing.simulator.behaviour import KINDS
from tests.api.conftest import Server, serving
from tests.canary import HOW, Canaries, Journal, Noted, Tattler, tattling

ROUTES = (
    "/settings",
    "/settings?fields=*",
    "/auth",
    "/permissions/me",
    "/server/info",
    "/server/health",
    "/users",
    "/users/me",
    "/roles",
    "/flows",
    "/flows/runs?steps=true&limit=1000",
    "/operations",
    "/graphql/system?query=%7Bsettings%7Bai_openai_api_key,ai_openai_compatible_headers%7Dusers%7Btoken,password%7D%7D",
    "/server/specs/graphql/system",
    "/fields",
    "/collections",
    "/openapi.json",
    "/metrics",
    "/activity?limit=-1",
    "/revisions?limit=-1",
    "/ai/v1/models",
    "/ai/models",
    "/ai/prices",
    "/files",
    "/presets",
    "/notifications",
    "/comments",
    "/translations",
    "/dashboards",
    "/panels",
    "/versions",
    "/shares",
    "/ai/calls?limit=1000",
    "/ai/budgets",
    "/ai/usage",
    "/ai/usage?groupBy=provider,model,user,token,purpose&format=csv",
)
"""Asked as an administrator."""

POSTS = (
    ("/ai/generate", {"prompt": "Hello"}),
    ("/ai/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
    ("/ai/v1/responses", {"input": "Hello"}),
    ("/ai/v1/embeddings", {"input": "Hello"}),
    ("/ai/chat", {"messages": [], "tools": []}),
    ("/ai/object", {"prompt": "Hello", "outputSchema": {"type": "object"}}),
)
"""Asked for models that answer, and for some that tattle; whole and as a stream."""

COMMANDS = (
    ("ai", "models", "--json"),
    ("ai", "generate", "--model", "status-401:any", "Hello"),
    ("ai", "stream", "--model", "no-http:any", "Hello"),
    ("user", "list"),
    ("usage",),
)
"""Of `datastead`. What one prints is searched, whether it succeeds or not."""

BAD_SETTINGS = (
    {"AI_OPENAI_COMPATIBLE_MODELS": "json:[{%s"},
    {"AI_OPENAI_COMPATIBLE_BASE_URL": "ftp://%s@host"},
    {"AI_OPENAI_COMPATIBLE_BASE_URL": "https://user:%s@host"},
    {"AI_OPENAI_COMPATIBLE_HEADERS": "%s"},
    {"AI_OPENAI_COMPATIBLE_PROVIDERS": 'json:[{"name": 1, "base_url": "x", "api_key": "%s", "key": 1}]'},
    {"DATABASE_URL": "postgresql://user:%s@["},
    {"DATABASE_URL": "oracle://user:%s@host/name"},
    {"AI_ENABLED": "%s"},
)
"""Settings that are refused at the start; `%s` is a secret that was put there."""

BAD_ROWS = (
    {"ai_openai_api_key": ["%s"]},
    {"ai_openai_api_key": "%s\n%s"},
    {"ai_openai_compatible_base_url": "https://user:%s@host"},
    {"ai_openai_compatible_headers": [{"header": "%s %s", "value": "%s"}]},
    {"ai_openai_compatible_headers": {"X-Key": "%s"}},
    {"ai_openai_compatible_models": [{"id": "%s", "context": "%s"}]},
)
"""Changes of the settings that are refused."""

TRACED = ("status-400", "status-500", "text-401", "stream", "no-http", "cut", "odd")
"""Failures whose spans are looked at, too."""

NEVER_SENT = ("EMAIL_SMTP_PASSWORD", "AUTH_IDP_CLIENT_SECRET", "a user's password", "a new password")

VENDORS = {"openai": "gpt-4.1", "anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash"}


@dataclass
class House:
    """Everything configured, with a canary in each place."""

    folder: Path
    simulator: Simulator
    tattler: Tattler
    canaries: Canaries
    noted: Noted

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'data.db'}"

    def settings(self) -> Settings:
        """OpenAI, and an endpoint for each way to fail, through the environment; the rest is for the row."""
        return load_settings(self.variables(), cwd=self.folder)

    def variables(self) -> dict[str, str]:
        if not hasattr(self, "_variables"):
            self._variables = self._new_variables()
        return self._variables

    def _new_variables(self) -> dict[str, str]:
        new = self.canaries.new
        endpoints = ",".join(
            f'{{"name": "{how}", "base_url": "{self.tattler.base_url(how)}", "api_key": "{new(how)}",'
            f' "headers": {{"X-Key": "{new(f"header of {how}")}"}}}}'
            for how in HOW
        )
        dead = f'{{"name": "dead", "base_url": "http://127.0.0.1:1/v1", "api_key": "{new("dead")}"}}'
        nowhere = f'{{"name": "nowhere", "base_url": "http://nowhere.invalid/v1", "api_key": "{new("nowhere")}"}}'
        return {
            "DATABASE_URL": self.database,
            "SECRET": f"{new('SECRET')}{'s' * 20}",
            "ADMIN_TOKEN": "admin-token",
            "ADMIN_PASSWORD": new("ADMIN_PASSWORD"),
            "PUBLIC_URL": "https://data.example.com",
            "EMAIL_TRANSPORT": "smtp",
            "EMAIL_SMTP_HOST": "127.0.0.1",
            "EMAIL_SMTP_PORT": "1",
            "EMAIL_SMTP_USER": "data",
            "EMAIL_SMTP_PASSWORD": new("EMAIL_SMTP_PASSWORD"),
            "AUTH_PROVIDERS": "idp",
            "AUTH_IDP_DRIVER": "openid",
            "AUTH_IDP_ISSUER_URL": "http://127.0.0.1:1",
            "AUTH_IDP_CLIENT_ID": "data",
            "AUTH_IDP_CLIENT_SECRET": new("AUTH_IDP_CLIENT_SECRET"),
            "AI_RECORD_IO": "true",
            "METRICS_ENABLED": "true",
            "STORAGE_LOCATIONS": "local,cloud",
            "STORAGE_LOCAL_ROOT": str(self.folder / "uploads"),
            "STORAGE_CLOUD_DRIVER": "s3",
            "STORAGE_CLOUD_BUCKET": "bucket",
            "STORAGE_CLOUD_KEY": new("STORAGE_CLOUD_KEY"),
            "STORAGE_CLOUD_SECRET": new("STORAGE_CLOUD_SECRET"),
            "STORAGE_CLOUD_ENDPOINT": "http://127.0.0.1:1",
            "STORAGE_CLOUD_FORCE_PATH_STYLE": "true",
            "METRICS_TOKENS": new("METRICS_TOKENS"),
            "AI_OPENAI_ENABLED": "true",
            "AI_OPENAI_API_KEY": new("AI_OPENAI_API_KEY"),
            "AI_OPENAI_BASE_URL": self.simulator.base_url("openai"),
            "AI_ANTHROPIC_BASE_URL": self.simulator.base_url("anthropic"),
            "AI_GOOGLE_BASE_URL": self.simulator.base_url("google"),
            "AI_OPENAI_COMPATIBLE_PROVIDERS": f"json:[{endpoints},{dead},{nowhere}]",
        }

    def row(self) -> dict[str, Any]:
        new = self.canaries.new
        return {
            "ai_anthropic_api_key": new("ai_anthropic_api_key"),
            "ai_anthropic_allowed_models": [VENDORS["anthropic"]],
            "ai_google_api_key": new("ai_google_api_key"),
            "ai_google_allowed_models": [VENDORS["google"]],
            "ai_openai_compatible_name": "Local",
            "ai_openai_compatible_base_url": self.simulator.base_url("openai-compatible"),
            "ai_openai_compatible_api_key": new("ai_openai_compatible_api_key"),
            "ai_openai_compatible_headers": [{"header": "X-Key", "value": new("ai_openai_compatible_headers")}],
        }

    def tattled(self) -> Settings:
        """The vendors' own wire formats, spoken to the tattler."""
        own = {
            f"ai_{name}_{field}": value
            for name in VENDORS
            for field, value in (
                ("enabled", True),
                ("api_key", self.canaries.new(f"tattled {name}")),
                ("base_url", self.tattler.base_url("status-401")),
            )
        }
        return Settings(database_url=self.database, ai_record_io=True, **own)


@pytest.fixture
def journal() -> Iterator[Noted]:
    """What is logged, at the finest level, by every logger."""
    noted, root = Noted(), logging.getLogger()
    handler, level = Journal(noted), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield noted
    root.removeHandler(handler)
    root.setLevel(level)


@asynccontextmanager
async def built(folder: Path, noted: Noted) -> AsyncIterator[House]:
    with Simulator() as simulator:
        async with tattling() as tattler:
            yield House(folder, simulator, tattler, Canaries(), noted)


async def test_no_key_comes_out_of_any_door(tmp_path: Path, journal: Noted) -> None:
    async with built(tmp_path, journal) as house:
        settings = house.settings()
        async with open_services(settings) as (services, _):
            services.ai._breakers.failures = 1 << 30  # every failure is wanted, also after five in a row
            ctx = Context(services, SYSTEM)
            await ProjectSettings(ctx).write(house.row())
            assert services.configuration is not None
            await services.configuration.refresh()
            await succeed_and_fail(house, services)
            await run_flows(house, ctx)
            await refuse_settings(house, ctx)
            await tattle(house)
            for thing in (settings, services, services.ai, vars(services.ai), settings.model_dump(), await dumped(ctx)):
                house.noted.note(f"repr of {type(thing).__name__}", repr(thing))
        await asyncio.to_thread(knock, house, settings)
        heard = f"{house.simulator.requests} {house.tattler.heard}"
        never_sent = {"SECRET", "ADMIN_PASSWORD", "METRICS_TOKENS", "dead", "nowhere", *NEVER_SENT}
        never_sent |= {"STORAGE_CLOUD_KEY", "STORAGE_CLOUD_SECRET"}
        assert set(house.canaries.unseen(heard)) == never_sent  # the others went to their providers
        assert house.noted.leaks(house.canaries) == {}


async def succeed_and_fail(house: House, services: Services) -> None:
    """Every provider answers, and fails in each way, as a whole and in a stream."""
    for kind in KINDS:
        house.simulator.script({"kind": kind, "prompt": f"be {kind}", "times": 0})
    models = [*(f"{provider}:{model}" for provider, model in VENDORS.items()), "openai-compatible:small"]
    asked = [(model, f"be {kind}") for model in models for kind in KINDS]
    asked += [(f"{how}:any", "Hello") for how in (*HOW, "dead", "nowhere")]
    both = (call(house, services.ai, *each, stream=stream) for each in asked for stream in (False, True))
    await asyncio.gather(*both)


async def call(house: House, ai: AI, model: str, prompt: str = "Hello", *, stream: bool) -> None:
    options: CallOptions = {"model": model, "timeout_s": 3.0 if prompt == "Hello" else 30.0}
    try:
        if stream:
            async with ai.generate_stream(prompt, **options) as events:
                house.noted.note(f"events of {model}", repr([event async for event in events]))
            house.noted.note(f"result of {model}", repr(events.result.to_dict()))
        else:
            result = await ai.generate(prompt, **options)
            house.noted.note(f"result of {model}", f"{result!r} {result.to_dict()!r}")
    except DatasteadError as error:
        house.noted.note_error(f"error of {model}", error)


async def run_flows(house: House, ctx: Context) -> None:
    """Flows that call models, and that hear of changed settings; with keys that change while they do."""
    for model in ("openai:gpt-4.1", "status-401:any", "google:gemini-2.5-flash"):
        options = {"type": "filter", "scope": ["settings.update"], "return": "$trigger.payload"}
        operation = {
            "key": "ask",
            "type": "ai-generate",
            "options": {"model": model, "prompt": "Is {{ $trigger }} fine?"},
        }
        kind = {**options, "type": "action"}
        flow = {"id": str(uuid4()), "name": model, "status": "active", "trigger": "event", "options": kind}
        await ctx.services.flows.apply(ctx, {**flow, "operations": [operation]})
    keep = {"key": "keep", "type": "transform", "options": {"json": "{{ $trigger }}"}}
    flow = {"id": str(uuid4()), "name": "filter", "status": "active", "trigger": "event", "options": options}
    await ctx.services.flows.apply(ctx, {**flow, "operations": [keep]})
    changed = {name: value for name, value in house.row().items() if "key" in name or "headers" in name}
    await ProjectSettings(ctx).write(changed)
    assert ctx.services.configuration is not None
    await ctx.services.configuration.refresh()
    for model in ("anthropic:claude-haiku-4-5", "google:gemini-2.5-flash", "openai-compatible:small"):
        await call(house, ctx.services.ai, model, stream=False)
    for _ in range(200):
        if not await ctx.services.flows.runs(ctx, status="running") and not await ctx.services.flows.runs(
            ctx, status="pending"
        ):
            break
        await asyncio.sleep(0.05)
    runs = await ctx.services.flows.runs(ctx, limit=1000)
    assert len(runs) >= 4
    house.noted.note("flow runs", repr([await ctx.services.flows.run(ctx, run["id"]) for run in runs]))


def filled(value: Any, secret: str) -> Any:
    if isinstance(value, dict):
        return {filled(key, secret): filled(entry, secret) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, secret) for entry in value]
    return value.replace("%s", secret) if isinstance(value, str) else value


async def refuse_settings(house: House, ctx: Context) -> None:
    """Wrong settings of both kinds, each with a secret in it. (The canary is one that has been sent already.)"""
    secret = house.variables()["AI_OPENAI_API_KEY"]
    for row in BAD_ROWS:
        with pytest.raises(DatasteadError) as refused:
            await ProjectSettings(ctx).write(filled(row, secret))
        house.noted.note_error(f"refused row {next(iter(row))}", refused.value)
    for variables in BAD_SETTINGS:
        with pytest.raises(DatasteadError) as refused:
            load_settings({**house.variables(), **filled(variables, secret)}, cwd=house.folder)
        house.noted.note_error(f"refused variable {next(iter(variables))}", refused.value)


async def tattle(house: House) -> None:
    """Each vendor's wire format hears its key repeated; and every call is traced, with prompts and answers."""
    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    registry, vendors = Registry(("datastead.builtin",)), [f"{name}:{model}" for name, model in VENDORS.items()]
    for settings, models in ((house.tattled(), vendors), (house.settings(), [f"{how}:any" for how in TRACED])):
        async with AI(settings, registry=registry, observers=[Tracing(provider, record=True)]) as ai:
            calls = (call(house, ai, model, stream=stream) for model in models for stream in (True, False))
            await asyncio.gather(*calls)
    assert len(spans.get_finished_spans()) >= len(vendors) + len(TRACED)
    for span in spans.get_finished_spans():
        house.noted.note(f"span {span.name}", span.to_json())


async def dumped(ctx: Context) -> dict[str, list[Any]]:
    """Every table, as any export would have it. (Users without their static tokens, which are kept as they are.)"""
    found = {}
    for table in system.metadata.sorted_tables:
        statement = sa.select(table)
        found[table.name] = await ctx.services.database.read(
            lambda transaction, s=statement: transaction.execute(s).all()
        )  # type: ignore[misc]
    assert found["datastead_ai_calls"]
    assert found["datastead_steps"]
    return found


def requests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each of `POSTS`, for each model, whole and as a stream."""
    for route, body in POSTS:
        for model in ("openai:gpt-4.1", "google:gemini-2.5-flash", "status-401:any", "no-json:any"):
            yield route, {**body, "model": model}
            yield route, {**body, "model": model, "stream": True}


def post(house: House, server: Server, route: str, body: dict[str, Any]) -> None:
    answer = server.post(route, body)
    house.noted.note(f"POST {route} {body['model']}", f"{answer.status} {answer.headers} {answer.body}")


def upload(house: House, server: Server) -> None:
    """A file goes in and comes out, and one that is refused does not."""
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    part = '--x\r\nContent-Disposition: form-data; name="file"; filename="{}"\r\n\r\ntext\r\n--x--\r\n'
    stored = server.send("POST", "/files", raw=part.format("a.txt").encode(), headers=form)
    refused = server.send("POST", "/files", raw=part.format("a.txt").encode()[:-9], headers=form)
    asset = server.get(f"/assets/{stored.data['id']}")
    assert (stored.status, refused.status, asset.body) == (200, 400, "text")
    placed = f'--x\r\nContent-Disposition: form-data; name="storage"\r\n\r\ncloud\r\n{part.format("a.txt")}'
    unreachable = server.send("POST", "/files", raw=placed.encode(), headers=form)
    assert unreachable.status == 503, unreachable.body
    for answer in (stored, refused, asset, unreachable, server.get("/assets/nothing")):
        house.noted.note("files and assets", f"{answer.headers} {answer.body}")


def log_in(house: House, server: Server) -> None:
    """What logging in, links in mail and users show; the mail server and the provider are away."""
    password, new = house.canaries.new("a user's password"), house.canaries.new("a new password")
    made = server.post("/users", {"email": "zoe@example.com", "password": password})
    known = {"email": "zoe@example.com", "password": password}
    session = server.public.post("/auth/login", known)
    own = server.acting_as(session.data["access_token"])
    assert (made.status, session.status) == (200, 200)
    answers = [
        made,
        session,
        own.get("/users/me"),
        own.post("/users/me/tfa/generate", {"password": new}),
        own.post("/users/me/tfa/enable", {"secret": new, "otp": new}),
        server.public.post("/auth/login", {**known, "password": new}),
        server.public.post("/auth/login", {**known, "otp": new, "mode": new}),
        server.public.post("/auth/password/request", {"email": "zoe@example.com"}),
        server.public.post("/auth/password/reset", {"token": new, "password": new}),
        server.public.post("/users/register", {"email": "eve@example.com", "password": new}),
        server.public.post("/users/invite/accept", {"token": session.data["access_token"], "password": new}),
        server.post("/users/invite", {"email": "max@example.com", "role": None}),
        server.public.get("/auth/login/idp"),
        server.public.get("/auth/login/idp/callback?code=x&state=x"),
    ]
    for number, answer in enumerate(answers):
        shown = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        house.noted.note(f"logging in, {number}", f"{shown} {answer.body}")


def knock(house: House, settings: Settings) -> None:
    """What routes, commands and the database's files show."""
    with serving(settings) as port:
        server = Server(port)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda request: post(house, server, *request), list(requests())))
        for route in ROUTES:
            answer = server.get(route)
            unwell = route == "/server/health"  # one of its storages is not there
            assert answer.status == (503 if unwell else 200), (route, answer.body)
            house.noted.note(f"GET {route}", f"{answer.headers} {answer.body}")
        upload(house, server)
        log_in(house, server)
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "datastead", *command], cwd=house.folder, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], **house.variables()}, timeout=60,
        )  # fmt: skip
        house.noted.note(f"datastead {' '.join(command)}", done.stdout + done.stderr)
    for path in house.folder.glob("data.db*"):
        house.noted.note(f"file {path.name}", path.read_bytes())
