"""A large file goes through the server in pieces: up, and down again."""

import json
import os
import re
from collections.abc import Iterator
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.test_serve import serving

MIB = 1024 * 1024
SIZE = 100 * MIB
GROWTH = 24 * MIB
"""How much more memory the server may have taken at any moment: some pieces on their way, and what Python keeps."""

HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"


def memory(process: int, which: str) -> int:
    """Bytes. which: `VmRSS` now, `VmHWM` the most that there ever was."""
    (kib,) = re.findall(rf"^{which}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(), flags=re.MULTILINE)
    return int(kib) * 1024


def pieces(block: bytes) -> Iterator[bytes]:
    yield HEAD
    for _ in range(SIZE // len(block)):
        yield block
    yield TAIL


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_hundred_megabytes_go_up_and_down_in_little_memory(tmp_path: Path) -> None:
    block, token = os.urandom(MIB), {"Authorization": "Bearer admin-token"}
    expected = sha256(block * (SIZE // MIB)).hexdigest()
    with serving(tmp_path, ADMIN_TOKEN="admin-token", FILES_MAX_UPLOAD_SIZE="200mb") as (port, process):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        small = HEAD + b"x" * MIB + TAIL  # what is loaded with the first upload is loaded
        headers = {**token, "Content-Type": "multipart/form-data; boundary=x"}
        connection.request("POST", "/files", small, headers)
        assert connection.getresponse().read()
        before = memory(process.pid, "VmRSS")
        length = {"Content-Length": str(len(HEAD) + SIZE + len(TAIL))}
        connection.request("POST", "/files", pieces(block), {**headers, **length})
        answer = connection.getresponse()
        row = json.loads(answer.read())["data"]
        assert int(row["filesize"]) == SIZE
        connection.request("GET", f"/assets/{row['id']}", headers=token)
        answer, seen = connection.getresponse(), sha256()
        while piece := answer.read(MIB):
            seen.update(piece)
        connection.close()
        most = memory(process.pid, "VmHWM")
    assert seen.hexdigest() == expected
    assert most - before < GROWTH, f"{(most - before) / MIB:.0f} MiB more"
