"""A hundred thousand items leave the server as a file, and it never holds them all."""

import re
import sqlite3
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.test_serve import serving
from tests.files.test_memory import memory

from .conftest import Server, collection

ITEMS = 100_000
GROWTH = 48 * 1024 * 1024
"""Bytes. The keys of the items are held, and what Python keeps of each part; the file itself has some 50 MB."""


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_hundred_thousand_items_are_exported_in_little_memory(tmp_path: Path, form: str) -> None:
    with serving(tmp_path, ADMIN_TOKEN="admin-token") as (port, process):
        server = Server(port)
        assert server.post("/collections", collection("long")).status == 200
        (path,) = tmp_path.rglob("*.db")
        with sqlite3.connect(path, timeout=30) as database:
            rows = ((f"title {number}", f"{number:0>400}") for number in range(ITEMS))
            database.executemany("INSERT INTO long (title, slug) VALUES (?, ?)", rows)
        server.get(f"/items/long?export={form}&limit=2000")
        before = memory(process.pid, "VmHWM")
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        headers = {"Authorization": "Bearer admin-token"}
        connection.request("GET", f"/items/long?export={form}&limit=-1", headers=headers)
        answer, size, seen = connection.getresponse(), 0, 0
        while piece := answer.read(1 << 20):
            size, seen = size + len(piece), seen + len(re.findall(rb"title \d", piece))
        connection.close()
        most = memory(process.pid, "VmHWM")
    assert size > 40_000_000
    assert ITEMS - 100 < seen <= ITEMS  # one may lie across two pieces
    assert most - before < GROWTH
