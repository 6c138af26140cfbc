"""The Vercel AI SDK through the gateway, as its users have it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from datastead.testing import Simulator

from .conftest import TOKEN, WIRES, Gateway

CLIENTS = Path(__file__).parents[1] / "clients"
NODE, NPM = shutil.which("node"), shutil.which("npm")


@pytest.fixture(scope="session")
def node_clients() -> Path:
    """The folder of the clients, with their packages; installed on first use."""
    if NODE is None or NPM is None:
        pytest.skip("Node.js is not installed")
    if not (CLIENTS / "node_modules" / "ai").exists():
        done = subprocess.run([NPM, "ci", "--no-fund", "--no-audit"], cwd=CLIENTS, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"npm cannot install the clients here: {done.stderr[-200:]}")
    return CLIENTS


def test_the_ai_sdk_generates_streams_calls_tools_and_gets_objects(
    gateway: Gateway, simulator: Simulator, wire: str, node_clients: Path
) -> None:
    simulator.script({"text": "Hello there.", "prompt": "Say hello."})
    simulator.script({"tool": "weather", "arguments": {"city": "Rome"}, "prompt": "How warm"})
    found = _run(node_clients, gateway, WIRES[wire])
    assert found["text"] == "Hello there."
    assert found["usage"]["outputTokens"] > 0
    assert found["steps"] == 2
    assert "Rome: 21 degrees" in found["streamed"]
    assert found["total"]["inputTokens"] > 0
    assert set(found["object"]) == {"name", "inhabitants"}
    assert found["refused"]["status"] == 404
    assert "no-such-model-at-all" in found["refused"]["message"]


def _run(clients: Path, gateway: Gateway, model: str) -> Any:
    environ = {**os.environ, "GATEWAY_URL": gateway.url, "GATEWAY_TOKEN": TOKEN, "GATEWAY_MODEL": model}
    done = subprocess.run(
        [str(NODE), "gateway.mjs"], cwd=clients, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
