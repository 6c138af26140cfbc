"""Passwords as argon2 hashes, worked out in a few threads of their own: one hash takes some 30 ms and 19 MB."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from datastead.errors import InvalidPayload, RequestsExceeded

T = TypeVar("T")

MAX_LENGTH = 1024  # characters
MOST_MEMORY_KIB = 262_144  # Directus's hashes take 65,536
MOST_ROUNDS = 16
THREADS = 2
MAX_WAITING = 64
NO_PASSWORD = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
"""A hash that no password has: checked where there is no user, so that it takes as long."""

# OWASP's parameters (Password Storage Cheat Sheet, 2026-11): memory in KiB.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
_waiting = 0


async def hash_password(password: str) -> str:
    """The hash to store."""
    if not 0 < len(password) <= MAX_LENGTH:
        raise InvalidPayload(f"A password has between 1 and {MAX_LENGTH} characters.", field="password")
    return await _in_thread(lambda: _hasher.hash(password))


async def verify_password(stored: str | None, password: str) -> bool:
    """Whether it is the password. Takes as long where there is none, so that the time tells nothing."""
    return await _in_thread(lambda: _verify(stored, password))


def _verify(stored: str | None, password: str) -> bool:
    try:
        if stored is not None and not _is_bearable(stored):
            return False
        matches = _hasher.verify(stored or NO_PASSWORD, password[:MAX_LENGTH])
    except (Argon2Error, InvalidHashError):
        return False
    return matches and stored is not None and len(password) <= MAX_LENGTH


def _is_bearable(stored: str) -> bool:
    """Whether a hash asks for no more than a server can give: it says itself how much memory and time it takes."""
    parameters = extract_parameters(stored)
    return (
        parameters.memory_cost <= MOST_MEMORY_KIB
        and parameters.time_cost <= MOST_ROUNDS
        and parameters.parallelism <= 16
    )


async def _in_thread(work: Callable[[], T]) -> T:
    global _waiting  # noqa: PLW0603  one count for the one pool of this process
    if _waiting >= MAX_WAITING:
        raise RequestsExceeded
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _waiting -= 1
