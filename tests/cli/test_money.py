"""`datastead budget`, `datastead usage` and `datastead ai doubt`, on a database without a server."""

import csv
import io
import json
import os
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.api.ledger_rows import USER, a_call, write_calls
from tests.cli.terminal import typed


def run(folder: Path, *arguments: str, columns: int = 200) -> CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{folder / 'data.db'}", "SECRET": "s" * 40,
        "ADMIN_PASSWORD": "a-long-password", "ADMIN_EMAIL": "ada@example.com", "COLUMNS": str(columns),
    }  # fmt: skip
    return typed(folder, environment, *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run(tmp_path, "budget", "list").stdout.startswith("There is no budget.")
    return tmp_path


def test_a_budget_is_set_again_listed_and_removed(folder: Path) -> None:
    assert run(folder, "budget", "set", "user:ada@example.com", "50/month", "--name", "Ada").returncode == 0
    again = run(folder, "budget", "set", "user:ADA@example.com", "60/month", "--warn")
    assert "user:ada@example.com (Ada)" in again.stdout, again.stderr
    (listed,) = json.loads(run(folder, "budget", "list", "--json").stdout)
    assert (listed["scope_name"], listed["limit_usd"], listed["hard"]) == ("ada@example.com", "60", False)
    refused = run(folder, "budget", "set", "role:nobody", "a lot")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "write it like" in refused.stderr
    assert run(folder, "budget", "remove", listed["id"]).returncode == 0


def test_usage_is_a_table_with_names_and_bars_and_json_and_csv(folder: Path) -> None:
    url = f"sqlite:///{folder / 'data.db'}"
    (ada,) = [row["id"] for row in json.loads(run(folder, "user", "list", "--json").stdout)] or [USER]
    write_calls(url, [a_call(user=ada, cost_nano_usd=2_000_000, input_tokens=1234), a_call(user=ada, cost_nano_usd=1)])
    table = run(folder, "usage", "--by", "model,user", "--since", "30d").stdout
    assert "ada@example.com" in table
    assert "1,234" in table
    assert "█" in table
    (row,) = json.loads(run(folder, "usage", "--by", "user", "--json", "--where", "model=gpt-5").stdout)
    assert (row["user"], row["cost_usd"]) == ("ada@example.com", "0.002000001")
    (cells,) = csv.DictReader(io.StringIO(run(folder, "usage", "--by", "user", "--csv").stdout))
    assert (cells["user"], cells["calls"]) == ("ada@example.com", "2")


def test_a_call_in_doubt_is_listed_and_resolved(folder: Path) -> None:
    call = a_call(state="in_doubt", held_nano_usd=5_000_000, held_tokens=9)
    write_calls(f"sqlite:///{folder / 'data.db'}", [call])
    assert call["id"][:8] in run(folder, "ai", "doubt", "list").stdout
    assert run(folder, "ai", "doubt", "resolve", call["id"]).returncode == 1
    assert run(folder, "ai", "doubt", "resolve", call["id"], "--cost", "0.0123").returncode == 0
    assert run(folder, "ai", "doubt", "list").stdout == "No call is in doubt.\n"
    (row,) = json.loads(run(folder, "usage", "--json").stdout)
    assert row["cost_usd"] == "0.0123"


def test_tables_are_readable_in_a_window_of_eighty_characters(folder: Path) -> None:
    write_calls(f"sqlite:///{folder / 'data.db'}", [a_call(model="claude-sonnet-4-5", cost_nano_usd=2)])
    usage = run(folder, "usage", "--by", "provider,model", "--bucket", "day", columns=80).stdout.splitlines()
    assert max(map(len, usage)) <= 80
    assert len(usage) == 2  # a head and a line: nothing is folded
    assert "█" in usage[1]
    run(folder, "budget", "set", "user:ada@example.com", "50/month")
    head, line = run(folder, "budget", "list", columns=80).stdout.splitlines()
    assert head.split()[:2] == ["id", "whom"]
    assert run(folder, "budget", "remove", line.split()[0]).returncode == 0
    assert run(folder, "budget", "remove", line.split()[0]).stderr.startswith("No budget has an id like")
    assert "datastead flow apply" in run(folder, "flow", "list").stdout
