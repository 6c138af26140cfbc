"""The docs say what the code does: reference pages are current, examples run, links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from datastead.testing import Simulator

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_the_reference_pages_are_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda file: file.name)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    with Simulator() as simulator:
        environ = {
            **os.environ,
            "AI_OPENAI_ENABLED": "true",
            "AI_OPENAI_API_KEY": "simulated",
            "AI_OPENAI_BASE_URL": simulator.base_url("openai"),
        }
        done = subprocess.run([sys.executable, example], capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 20
    assert "INVALID" not in done.stdout


def test_the_example_flow_is_the_one_that_the_demo_runs() -> None:
    shipped = ROOT / "src/datastead/cli/demo/seo.yaml"
    assert (ROOT / "examples/seo.yaml").read_text() == shipped.read_text()


def test_the_readme_is_short_and_opens_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert readme.index("make demo") < readme.index("make test") < 600
    assert len(readme.splitlines()) < 80


def test_the_lock_files_name_no_host_and_pin_every_package_by_hash() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text()
        pins = re.findall(r"^\S+==\S+", text, flags=re.MULTILINE)
        assert "://" not in text
        assert len(pins) > 40
        assert all(f"{pin} " in text for pin in pins)
        assert len(re.findall(r"^\S+==[^\n]*\\\n    --hash=sha256:", text, flags=re.MULTILINE)) == len(pins)


def test_the_table_of_the_tree_has_each_module_and_each_room_of_the_package() -> None:
    there = {
        path.name + ("/" if path.is_dir() else "")
        for path in (ROOT / "src/datastead").iterdir()
        if path.name not in {"__main__.py", "__pycache__", "py.typed"}
    }
    table = (ROOT / "docs/architecture.md").read_text()
    assert set(re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)) == there


def test_each_decision_has_a_number_of_its_own() -> None:
    names = [path.name for path in (ROOT / "docs/decisions").glob("*.md")]
    assert len({name[:4] for name in names}) == len(names)


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        links = re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", page.read_text())
        ahead += [found for link in links if (found := (page.parent / link).resolve()) not in seen]
    assert sorted(page.name for page in (ROOT / "docs").glob("*.md") if page not in seen) == []
