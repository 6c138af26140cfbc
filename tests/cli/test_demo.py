"""`datastead demo`, as a newcomer runs it: a process, its output, its exit code."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "DATABASE_URL")
ENVIRON = {name: value for name, value in os.environ.items() if name not in KEYS and not name.startswith("AI_")}


def _demo(tmp_path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "datastead", "demo", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**ENVIRON, "COLUMNS": "160", **environ},
        timeout=120,
    )


def test_the_demo_shows_each_article_with_its_text_model_tokens_and_cost(tmp_path: Path) -> None:
    done = _demo(tmp_path, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert "simulated" in done.stdout
    assert "ANTHROPIC_API_KEY" in done.stdout
    assert done.stdout.count("done  article") == 6
    assert "How bread rises" in done.stdout
    assert re.search(r"6 articles, \d+ tokens, 0\.\d+ USD", done.stdout)


def test_the_demo_imports_a_csv_file_with_columns_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("title,content,section\nSalt,Why we need it.,food\nSnow,Why it is white.,weather\n")
    done = _demo(tmp_path, "--once", "--file", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 articles" in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "[{", "is not JSON"),
        ("a.json", '{"title": "x"}', "has to be a list"),
        ("a.json", '[{"title": "x"}]', "Row 1 of"),
        ("a.json", "[]", "has no articles"),
        ("a.csv", "title,content\nonly\n", "Row 1 of"),
    ],
)
def test_a_wrong_file_is_refused_with_its_cure(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    done = _demo(tmp_path, "--once", "--file", name)
    assert done.returncode == 1
    assert says in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_demo_leaves_the_server_running_until_ctrl_c(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "datastead", "demo", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**ENVIRON, "COLUMNS": "400"},
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "--json" in line:
            break
    shown = re.search(r'"Authorization: Bearer (\S+)" (http://\S+)/items/articles', "".join(lines))
    assert shown is not None
    request = urllib.request.Request(
        f"{shown[2]}/items/articles?fields=meta_description", headers={"Authorization": f"Bearer {shown[1]}"}
    )
    with urllib.request.urlopen(request) as response:
        items = json.load(response)["data"]
    process.send_signal(signal.SIGINT)
    assert process.wait(20) in (0, 130)
    process.stdout.close()
    assert all(item["meta_description"] for item in items)
    assert len(items) == 6
