"""`Storage`: where the bytes of files are. `datastead.testing` has the tests that every driver must pass."""

from collections.abc import AsyncIterator
from typing import Protocol


class Storage(Protocol):
    """Bytes by name. A name is one path segment: letters, digits, `.`, `-` and `_` where the platform gives it.

    Raises `StoredFileNotFound` for a name that it does not have or could not have, `ServiceUnavailable` where it
    cannot be reached or is full.
    """

    async def write(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Stores the pieces under a name, in the place of what was there.

        Nobody sees it before the last piece is safe. When `pieces` raises, or the caller is cancelled, nothing is left.
        """
        ...

    def read(self, name: str, start: int = 0, size: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` on, at most `size` of them, in pieces of a bounded size.

        Errors come with the first piece.
        """
        ...

    async def size(self, name: str) -> int:
        """How many bytes there are."""
        ...

    async def delete(self, name: str) -> None:
        """Removes the bytes, also what a process that died has left of them. It is no error when there are none."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...
