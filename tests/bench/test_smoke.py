"""Every script of `bench/` runs with the smallest load, and prints its figures. How large they are is not looked at."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import POSTGRESQL

BENCH = Path(__file__).parents[2] / "bench"
NUMBER = r"\s+\d+(\.\d+)?"
RATE = rf"{NUMBER} a second   p50{NUMBER} ms  p99{NUMBER} ms  CPU{NUMBER} ms"
LOADS: dict[str, tuple[list[str], list[str]]] = {
    "ai_call": (
        ["--calls", "16", "--streams", "16", "--rounds", "1", "--wire", "openai"],
        [rf"openai\s+call{NUMBER}{NUMBER}{NUMBER}x ", rf"openai\s+stream{NUMBER}{NUMBER}{NUMBER}x "],
    ),
    "ai_streams": (
        ["--streams", "4", "--chunks", "3"],
        [r"^4 streams at once over openai: 4 whole", r"memory of each: +-?\d+\.\d kB"],
    ),
    "flows": (
        ["--database", "sqlite", "--rounds", "1", "--seconds", "0.2", "--events", "5"],
        [rf"webhook{NUMBER} runs, ", rf"ten steps{NUMBER} runs,{NUMBER} steps a second", rf"event +done after p50{NUMBER} ms"],
    ),
    "gateway": (["--ours", "--seconds", "0.4", "--connections", "2"], [r"'requests a second': \d", r"'memory': \d"]),
    "gateway --streams": (["--streams", "3", "--chunks", "3"], [r"^3 of 3 streams of 3 words came whole", r"MB at most: -?\d+\.\d kB a stream"]),
    "ledger": (["--rows", "10", "60", "--seconds", "0.2"], [rf"^ +{rows}{NUMBER * 4} ms$" for rows in (10, 60)]),
    "realtime on PostgreSQL": (
        ["--changes", "2", "--seconds", "0.3", "--rounds", "1"],
        [rf"^{what} +p50{NUMBER} ms  p95{NUMBER} ms  of 2$" for what in ("a change", "a flow")]
        + [rf"^creates, {who} listens{NUMBER} a second  CPU{NUMBER} ms$" for who in ("nobody", "somebody")],
    ),
    "rest": (
        ["--database", "sqlite", "--rows", "200", "--rounds", "1", "--seconds", "0.2"],
        [rf"^ping{RATE}", rf"^create 100{RATE}", rf"^start{NUMBER} s", rf"^idle memory{NUMBER} MB"],
    ),
}  # fmt: skip


def _script(case: str) -> str:
    return case.partition(" ")[0]


def test_every_benchmark_is_run_here() -> None:
    scripts = {file.stem for file in BENCH.glob("*.py") if "__main__" in file.read_text()}
    assert scripts == {_script(case) for case in LOADS}


@pytest.mark.full
@pytest.mark.skipif(shutil.which("taskset") is None, reason="servers are put on a core by taskset")
@pytest.mark.parametrize("case", LOADS)
def test_a_benchmark_runs_and_prints_its_figures(case: str) -> None:
    if "PostgreSQL" in case and not POSTGRESQL:
        pytest.skip("there is no PostgreSQL")
    load, figures = LOADS[case]
    command = [sys.executable, str(BENCH / f"{_script(case)}.py"), *load]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONWARNINGS": "default"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for figure in figures:
        assert re.search(figure, done.stdout, flags=re.MULTILINE), (figure, done.stdout)
    assert "Traceback" not in done.stderr, done.stderr
