"""`datastead ai`, as a process of its own."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import create_engine, text

from datastead.data.engine import Database
from datastead.data.migrations import migrate
from datastead.testing.simulator import Simulator
from tests.cli.terminal import typed

HERE = {"PATH": os.environ["PATH"], "COLUMNS": "160"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def environment(simulator: Simulator) -> dict[str, str]:
    simulator.reset()
    vendor = {"AI_OPENAI_ENABLED": "true", "AI_OPENAI_API_KEY": "k", "AI_OPENAI_BASE_URL": simulator.base_url("openai")}
    return {**HERE, **vendor, "AI_OPENAI_ALLOWED_MODELS": "gpt-4.1,gpt-5"}


def run(folder: Path, environment: Mapping[str, str], *arguments: str, given: str = "") -> CompletedProcess[str]:
    return typed(folder, environment, "ai", *arguments, given=given)


@pytest.mark.parametrize("command", ["generate", "stream"])
def test_the_answer_is_all_that_is_on_standard_output(
    tmp_path: Path, environment: dict[str, str], simulator: Simulator, command: str
) -> None:
    simulator.script({"text": "Salt is a mineral."})
    done = run(tmp_path, environment, command, "What is salt?", "--model", "gpt-4.1", "--max-tokens", "50")
    assert (done.returncode, done.stdout) == (0, "Salt is a mineral.\n")
    assert "gpt-4.1" in done.stderr
    assert "USD" in done.stderr


def test_a_prompt_is_read_from_standard_input(
    tmp_path: Path, environment: dict[str, str], simulator: Simulator
) -> None:
    assert run(tmp_path, environment, "generate", "-", "--model", "gpt-5", given="From a pipe").returncode == 0
    assert "From a pipe" in json.dumps(simulator.requests[-1]["json"])


@pytest.mark.parametrize("command", ["generate", "stream"])
def test_json_has_usage_and_cost(tmp_path: Path, environment: dict[str, str], command: str) -> None:
    done = run(tmp_path, environment, command, "Hello", "--model", "gpt-4.1", "--json")
    shown = json.loads(done.stdout if command == "generate" else done.stdout.splitlines()[-1])
    assert shown["cost"] > 0
    assert shown["usage"]["total"] > 0
    assert shown["content"]


def test_the_models_are_those_that_are_configured_and_allowed(tmp_path: Path, environment: dict[str, str]) -> None:
    shown = json.loads(run(tmp_path, environment, "models", "--json").stdout)
    assert [model["model"] for model in shown] == ["gpt-4.1", "gpt-5"]
    table = run(tmp_path, environment, "models").stdout
    assert "1.05M" in table
    assert "gpt-5" in table


@pytest.mark.parametrize(
    ("changed", "model", "code"),
    [
        ({}, "gpt-5.2", "MODEL_NOT_ALLOWED"),
        ({}, "gpt-9", "MODEL_NOT_FOUND"),
        ({"AI_OPENAI_API_KEY": "bad-key"}, "gpt-5", "INVALID_API_KEY"),
        ({"AI_OPENAI_ENABLED": "false"}, "gpt-5", "PROVIDER_NOT_CONFIGURED"),
        ({"AI_OPENAI_ENABLED": "perhaps"}, "gpt-5", "INVALID_SETTINGS"),
    ],
)
def test_an_error_is_one_line_with_its_code(
    tmp_path: Path, environment: dict[str, str], changed: dict[str, str], model: str, code: str
) -> None:
    done = run(tmp_path, {**environment, **changed}, "generate", "Hello", "--model", model)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{code}: ")
    assert len(done.stderr.splitlines()) == 1


def test_asking_a_model_makes_no_database(tmp_path: Path, environment: dict[str, str]) -> None:
    assert run(tmp_path, environment, "generate", "Hello", "--model", "gpt-4.1").returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_ours_has_the_call_in_its_ledger(tmp_path: Path, environment: dict[str, str]) -> None:
    script = (
        "import asyncio\n"
        "from datastead.data.engine import Database\n"
        "from datastead.data.migrations import migrate\n"
        "async def main():\n"
        "    database = Database.open('sqlite:///data.db')\n"
        "    await database.start(); await migrate(database); await database.close()\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert run(tmp_path, environment, "generate", "Hello", "--model", "gpt-4.1").returncode == 0
    engine = create_engine(f"sqlite:///{tmp_path / 'data.db'}")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT state, purpose FROM datastead_ai_calls")).all()
    engine.dispose()
    assert rows == [("settled", "cli")]


@pytest.fixture
def on_a_database(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    """With a database of ours."""
    url = f"sqlite:///{tmp_path / 'data.db'}"

    async def make() -> None:
        database = Database.open(url)
        await database.start()
        await migrate(database)
        await database.close()

    asyncio.run(make())
    return {**environment, "DATABASE_URL": url}


def test_a_price_is_set_and_listed(tmp_path: Path, on_a_database: dict[str, str]) -> None:
    given = ["--input", "1000", "--output", "2000", "--tier", "batch=0.5", "--cache-read", "100"]
    added = run(tmp_path, on_a_database, "price", "set", "gpt-5", *given, "--json")
    assert added.returncode == 0, added.stderr
    run(tmp_path, on_a_database, "price", "set", "gpt-5", "--input", "1", "--output", "2", "--from", "2199-01-01")
    history = json.loads(run(tmp_path, on_a_database, "price", "list", "gpt-5", "--json").stdout)
    assert [(entry["rates"]["input"], entry["current"]) for entry in history] == [
        (1.25, False), (1000, True), (1, False),
    ]  # fmt: skip
    (listed,) = json.loads(run(tmp_path, on_a_database, "models", "--search", "gpt-5", "--json").stdout)
    assert listed["cost"]["tiers"]["batch"]["input"] == 500


@pytest.mark.parametrize(
    "arguments",
    [("no-such-model",), ("gpt-5", "--from", "soon", "--tier", "batch")],
)
def test_a_price_that_is_wrong_is_one_line(
    tmp_path: Path, on_a_database: dict[str, str], arguments: tuple[str, ...]
) -> None:
    done = run(tmp_path, on_a_database, "price", "set", *arguments, "--input", "1", "--output", "2")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_list_of_models_without_a_provider_says_what_to_set(tmp_path: Path) -> None:
    done = run(tmp_path, HERE, "models", "--all")
    assert (done.returncode, "AI_OPENAI_ENABLED" in done.stdout) == (0, True)


def test_models_are_filtered_by_provider_and_text(tmp_path: Path, environment: dict[str, str]) -> None:
    del environment["AI_OPENAI_ALLOWED_MODELS"]
    shown = run(tmp_path, environment, "models", "--provider", "openai", "--search", "luna")
    everything = run(tmp_path, environment, "models", "--all", "--search", "luna")
    assert "No model" in shown.stdout
    assert "gpt-6-luna" in everything.stdout
