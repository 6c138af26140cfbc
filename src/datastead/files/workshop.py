"""`Workshop`: processes that transform images, as many as are allowed at a time, each ended when it has nothing to do.

A transformation that takes too long is ended with its process; the server and the other images do not notice.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from datastead.errors import ServiceUnavailable
from datastead.files.recipes import illegal
from datastead.settings import Settings

IDLE_S = 30.0
"""How long a process waits for the next image, before it ends."""

WAIT_S = 30.0
"""How long an image waits for a process, before its caller is told to come again."""


@dataclass(slots=True, eq=False)
class _Worker:
    """A process. ending: what ends it when it has waited long enough."""

    process: asyncio.subprocess.Process
    ending: asyncio.TimerHandle | None = None


class Workshop:
    """Opened with the first image, closed with `close`."""

    def __init__(self, settings: Settings) -> None:
        self._places = asyncio.Semaphore(settings.assets_transform_max_concurrent)
        self._timeout_s = settings.assets_transform_timeout
        self._idle: list[_Worker] = []

    async def make(self, source: Path, target: Path, recipe: Mapping[str, Any]) -> None:
        """An image from the file `source` to the file `target`.

        Raises `IllegalAssetTransformation` where it cannot be done, `ServiceUnavailable` where it takes too long.
        """
        async with self._place():
            worker = self._idle.pop() if self._idle else await _begin()
            if worker.ending is not None:
                worker.ending.cancel()
            answer = await self._answer(worker, {"source": str(source), "target": str(target), "recipe": recipe})
        if answer is None:
            raise _unavailable("The image could not be transformed: its decoder has failed")
        if "reason" in answer:
            raise illegal(answer["reason"], answer["parts"])

    async def close(self) -> None:
        """Ends the processes that wait."""
        while self._idle:
            await _end(self._idle.pop())

    async def _answer(self, worker: _Worker, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the process says; None where it has ended instead."""
        is_well = False
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await _ask(worker, request)
            is_well = answer is not None
        except TimeoutError:
            limit = f"{self._timeout_s:g} s (`ASSETS_TRANSFORM_TIMEOUT`)"
            raise _unavailable(f"The image takes longer to transform than {limit}") from None
        finally:
            if is_well:
                self._rest(worker)
            else:
                await asyncio.shield(_end(worker))
        return answer

    def _rest(self, worker: _Worker) -> None:
        worker.ending = asyncio.get_running_loop().call_later(IDLE_S, self._dismiss, worker)
        self._idle.append(worker)

    def _dismiss(self, worker: _Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
            _input(worker).close()

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise _unavailable("Too many images are being transformed: try again later") from None
        try:
            yield
        finally:
            self._places.release()


async def _begin() -> _Worker:
    devnull, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "datastead.files.picture"]
    return _Worker(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=devnull))


async def _ask(worker: _Worker, request: Mapping[str, Any]) -> dict[str, Any] | None:
    assert worker.process.stdout is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        _input(worker).write(orjson.dumps(request, option=orjson.OPT_APPEND_NEWLINE))
        await _input(worker).drain()
        line = await worker.process.stdout.readline()
        return orjson.loads(line) if line else None
    return None


async def _end(worker: _Worker) -> None:
    if worker.ending is not None:
        worker.ending.cancel()
    with suppress(ProcessLookupError):
        worker.process.kill()
    await worker.process.wait()


def _input(worker: _Worker) -> asyncio.StreamWriter:
    assert worker.process.stdin is not None
    return worker.process.stdin


def _unavailable(reason: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"{reason}.", service="assets", reason=reason)
