"""Files as attachments of model calls: what `ai` asks of whoever has files."""

from datastead.context import Context
from datastead.errors import InvalidRequest
from datastead.files.files import Files
from datastead.messages import Attachment


class FilesAsSource:
    """Reads the platform's files for `ai`, as the actor of the call may see them."""

    async def read(self, ctx: Context, file_id: str, *, max_bytes: int) -> Attachment:
        """The whole file. Raises `Forbidden`, and `InvalidRequest` where it is larger than `max_bytes`."""
        files = Files(ctx)
        file = await files.open(file_id)
        if file.size > max_bytes:
            raise InvalidRequest(
                f"The file `{file_id}` has {file.size} bytes; an attachment may have {max_bytes}.",
                file=file_id, size=file.size, allowed=max_bytes,
            )  # fmt: skip
        data = b"".join([piece async for piece in files.read(file, size=max_bytes)])
        return Attachment(file.type, data=data, filename=file.name)
