"""`Checksum`: whether bytes have come as they were sent."""

import hashlib
import hmac
from collections.abc import AsyncIterator

from datastead.errors import InvalidPayload, UploadChecksumMismatch

ALGORITHMS = ("sha1", "sha256", "sha512", "md5")


class Checksum:
    """What the bytes have to amount to. Raises `InvalidPayload` for an algorithm that there is not."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        if algorithm not in ALGORITHMS:
            reason = (
                f"There is no checksum `{algorithm[:20]}` here, but {', '.join(f'`{name}`' for name in ALGORITHMS)}"
            )
            raise InvalidPayload(f"{reason}.", reason=reason)
        self._expected = expected
        self._hash = hashlib.new(algorithm, usedforsecurity=False)

    async def over(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same pieces, counted."""
        async for piece in pieces:
            self._hash.update(piece)
            yield piece

    def check(self) -> None:
        """Raises `UploadChecksumMismatch` where other bytes have come."""
        if not hmac.compare_digest(self._hash.digest(), self._expected):
            raise UploadChecksumMismatch
