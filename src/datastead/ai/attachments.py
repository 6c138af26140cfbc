"""Files beside a prompt: what callers name becomes bytes of a known type, before anything is held or sent.

A module of its own, because it is where `ai` meets files and addresses from outside.
"""

from typing import TYPE_CHECKING, Protocol

from datastead.messages import Attachment

if TYPE_CHECKING:
    from datastead.context import Context

MAX_BYTES = 20 * 1024 * 1024
"""The largest attachment: what all providers take inline, as base64 beside the rest of a request."""


class FileSource(Protocol):
    """Where the files of the platform are read: `files` provides it, `app` wires it."""

    async def read(self, ctx: "Context", file_id: str, *, max_bytes: int) -> Attachment:
        """The file as bytes, with its media type and file name, as the context's actor may see it.

        Raises `Forbidden` where it is not there or not allowed, which look alike, and `InvalidRequest` (with `size`
        and `allowed`, in bytes) where it is larger than `max_bytes`, before reading more than that.
        """
        ...
