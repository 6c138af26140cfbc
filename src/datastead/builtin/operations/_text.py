"""Options that are text, whatever the run's data has put there: a number as it is written, an object as JSON."""

from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator


def as_text(value: Any) -> Any:
    """The text of a value; None stays what it is."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, default=str).decode()


Text = Annotated[str, BeforeValidator(as_text)]
TextOrNone = Annotated[str | None, BeforeValidator(as_text)]
