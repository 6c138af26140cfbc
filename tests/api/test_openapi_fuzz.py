"""schemathesis asks every route of the API's own description what it does not expect, and nothing is a 5xx."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from datastead.settings import Settings
from tests.api.conftest import ADMIN_TOKEN, PASSWORD, Server, serving

COLLECTION = {
    "collection": "oddities",
    "schema": {},
    "fields": [
        {"field": kind, "type": kind}
        for kind in ("string", "integer", "decimal", "boolean", "timestamp", "date", "json", "uuid")
    ],
}


@pytest.mark.full
@pytest.mark.parametrize(
    "phase",
    [
        pytest.param(["coverage"], id="coverage"),
        pytest.param(["fuzzing", "--max-examples", "12", "--generation-deterministic"], id="fuzzing"),
    ],
)
def test_no_request_that_the_description_allows_or_forbids_is_a_fault_of_the_server(
    empty_database_url: str, tmp_path: Path, phase: list[str]
) -> None:
    settings = Settings(
        database_url=empty_database_url,
        admin_token=ADMIN_TOKEN,
        admin_password=PASSWORD,
        secret="s" * 40,
        storage_options={"local": {"root": str(tmp_path / "uploads")}},
    )
    with serving(settings) as port:
        admin = Server(port, ADMIN_TOKEN)
        assert admin.post("/collections", COLLECTION).status == 200
        assert admin.post("/items/oddities", [{"string": "a", "integer": 1}, {"string": "b"}]).status == 200
        base = f"http://127.0.0.1:{port}"
        options = [
            "--url",
            base,
            "--header",
            f"Authorization: Bearer {ADMIN_TOKEN}",
            "--no-color",
            "--request-timeout",
            "60",
        ]
        checks = ["--checks", "not_a_server_error", "--phases", *phase]
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{base}/server/specs/oas", *options, *checks]
        run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=1200, check=False)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    passed = re.search(r"(\d+) generated, (\d+) passed", run.stdout)
    assert passed is not None, run.stdout[-3000:]
    assert int(passed[1]) > 1000
