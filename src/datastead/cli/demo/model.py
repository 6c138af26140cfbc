"""Which model a demo uses: the one whose key is set, else a local Ollama, else the bundled simulator."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
from pydantic import SecretStr

from datastead.settings import load_settings

if TYPE_CHECKING:
    from datastead.settings import Settings

OLLAMA = "http://127.0.0.1:11434"

FIRST_CHOICE = {"anthropic": "claude-haiku-4-5", "openai": "gpt-4.1-mini", "google": "gemini-2.5-flash"}
"""A fast and cheap model of each vendor. Its own variable for the key is read by `load_settings`."""

FREE = {"cost": {"input": 0, "output": 0}}

SIMULATED = """[yellow]No model is configured: the texts below are simulated[/], and so are their tokens and costs.
For a real model set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY, or start Ollama, and run this again."""


@dataclass(frozen=True, slots=True)
class DemoModel:
    """provider, model: as the flow names them. notice: what to tell the user. environment: settings it needs."""

    provider: str
    model: str
    notice: str
    environment: dict[str, str] = field(default_factory=dict)

    def settings(self, database: Path, token: str, url: str) -> "Settings":
        """The user's settings with the model's, and with the demo's own database and token."""
        users = load_settings({**os.environ, **self.environment})
        own = {"database_url": SecretStr(f"sqlite:///{database}"), "db_connection_string": None}
        return users.model_copy(update={**own, "admin_token": SecretStr(token), "public_url": url})


@contextlib.asynccontextmanager
async def choose_model() -> AsyncIterator[DemoModel]:
    """The model to use, with whatever has to run beside it."""
    found = _configured() or await _ollama()
    if found is not None:
        yield found
        return
    from datastead.testing import Simulator

    with Simulator() as simulator:
        yield DemoModel(
            "openai", "gpt-4.1-mini", SIMULATED,
            {"AI_OPENAI_ENABLED": "true", "AI_OPENAI_API_KEY": "simulated",
             "AI_OPENAI_BASE_URL": simulator.base_url("openai"), "AI_OPENAI_ALLOWED_MODELS": "gpt-4.1-mini"},
        )  # fmt: skip


def _configured() -> DemoModel | None:
    from datastead.ai.engine import AI

    environ = dict(os.environ)
    for provider, variable in (
        ("ANTHROPIC", "ANTHROPIC_API_KEY"),
        ("OPENAI", "OPENAI_API_KEY"),
        ("GOOGLE", "GEMINI_API_KEY"),
    ):
        if os.environ.get(variable):
            environ.setdefault(f"AI_{provider}_ENABLED", "true")
    models = AI(load_settings(environ)).models()
    if not models:
        return None
    first = next((model for model in models if FIRST_CHOICE.get(model.provider) == model.model), models[0])
    enabled = {name: value for name, value in environ.items() if name not in os.environ}
    return DemoModel(first.provider, first.model, f"The model is [bold]{first.provider}:{first.model}[/].", enabled)


async def _ollama() -> DemoModel | None:
    """The first model of an Ollama on its usual port."""
    names = await _ollama_models()
    if not names:
        return None
    return DemoModel(
        "openai-compatible", names[0], f"The model is [bold]{names[0]}[/], on the Ollama of this machine.",
        {"AI_OPENAI_COMPATIBLE_ENABLED": "true", "AI_OPENAI_COMPATIBLE_BASE_URL": f"{OLLAMA}/v1",
         "AI_OPENAI_COMPATIBLE_MODELS": "json:" + orjson.dumps([FREE | {"id": names[0], "name": names[0]}]).decode()},
    )  # fmt: skip


async def _ollama_models() -> list[str]:
    timeout = aiohttp.ClientTimeout(total=1)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{OLLAMA}/api/tags") as response:
            listed: dict[str, Any] = await response.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return []  # nothing there, or something else than Ollama
    return [model["name"] for model in listed.get("models", []) if "embed" not in model["name"]]
