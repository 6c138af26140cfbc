"""`AI`: models, from Python. A server has one for all; a script makes its own, with or without a database.

Its calls are in `calls`, its models in `shelf`, how it opens in `opening`; here is what scripts see of it.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from datastead.ai.calls import Calls
from datastead.ai.portal import Portal
from datastead.ai.requests import CallOptions
from datastead.ai.results import GenerationResult
from datastead.ai.streams import GenerationStream, SyncStream

if TYPE_CHECKING:
    from datastead.ai.embedding import EmbeddingResult, EmbedOptions

__all__ = ["AI", "CallOptions", "GenerationResult", "GenerationStream"]


class AI(Calls):
    """Calls models, of every provider in the same way, and keeps the ledger.

    files: where attachments of the form `{type: 'file', fileId}` are read.
    Without a database the ledger is in memory. It starts by itself with the first call; `async with AI() as ai` (or
    `with AI() as ai` for the twins that end in `_sync`) also closes it. It belongs to the event loop it started in.
    """

    def generate_sync(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> GenerationResult:
        """`generate`, for scripts: waits for the answer."""
        return self._in_portal().run(lambda: self.generate(prompt, **options))

    def object_sync(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> GenerationResult:
        """`object`, for scripts."""
        return self._in_portal().run(lambda: self.object(prompt, **options))

    def generate_stream_sync(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> SyncStream:
        """`generate_stream`, for scripts: `for event in …`. Left early, it stops the provider."""
        return SyncStream(self.generate_stream(prompt, **options), self._in_portal())

    def embed_sync(self, inputs: str | Sequence[str], **options: "Unpack[EmbedOptions]") -> "EmbeddingResult":
        """`embed`, for scripts."""
        return self._in_portal().run(lambda: self.embed(inputs, **options))

    def __enter__(self) -> Self:
        self._in_portal()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_sync()

    def close_sync(self) -> None:
        """`close`, for scripts."""
        portal, self._portal = self._portal, None
        if portal is not None:
            portal.run(self.close)
            portal.close()

    def _in_portal(self) -> Portal:
        if self._portal is None:
            self._portal = Portal()
        return self._portal
