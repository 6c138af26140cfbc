"""`datastead flow`, on a database without a server."""

import json
import os
from pathlib import Path
from subprocess import CompletedProcess

from tests.cli.terminal import typed

FLOW = """
trigger: webhook
options: {method: POST}
operations:
  - {id: echo, operation: transform, options: {json: "{{ $trigger.body }}"}}
"""


def flow(folder: Path, *arguments: str) -> CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{folder / 'data.db'}", "SECRET": "s" * 40,
        "ADMIN_PASSWORD": "a-long-password",
    }  # fmt: skip
    return typed(folder, environment, "flow", *arguments)


def test_a_flow_is_applied_listed_triggered_and_looked_at(tmp_path: Path) -> None:
    (tmp_path / "echo.yaml").write_text(FLOW)
    applied = [flow(tmp_path, "apply", "echo.yaml") for _ in range(2)]
    assert [found.returncode for found in applied] == [0, 0], applied[0].stderr
    assert applied[0].stdout == applied[1].stdout
    (listed,) = json.loads(flow(tmp_path, "list", "--json").stdout)
    assert (listed["name"], listed["problem"]) == ("echo", None)
    answer = flow(tmp_path, "trigger", listed["id"], "--data", '{"x": 1}')
    assert json.loads(answer.stdout) == {"x": 1}
    (run,) = json.loads(flow(tmp_path, "runs", "--json").stdout)
    shown = json.loads(flow(tmp_path, "run", run["id"], "--json").stdout)
    assert (shown["status"], shown["steps"][0]["output"]) == ("resolved", {"x": 1})


def test_a_wrong_flow_is_refused_in_a_line_that_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(FLOW.replace("transform", "fly"))
    refused = flow(tmp_path, "apply", "wrong.yaml")
    assert refused.returncode == 1
    assert "There is no operation `fly`" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert json.loads(flow(tmp_path, "list", "--json").stdout) == []


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused = flow(tmp_path, "apply", "nowhere.yaml")
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
