"""Who holds a call: this process, by a name from which others on the same machine can tell that it has died."""

import os
import socket
from functools import cache
from secrets import token_hex


@cache
def owner() -> str:
    """`host:pid:random` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=owner.cache_clear)


def is_dead(name: str | None) -> bool:
    """Whether that process is certainly gone. Of other machines nothing is certain: there the lease decides."""
    if name is None or name == owner():
        return False
    host, _, rest = name.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdigit():
        return False
    return int(rest) == os.getpid() or not _is_running(int(rest))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Killed, and not yet buried by its parent."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  a third of the cost of pathlib
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return False
