"""Rows of the ledger, written as calls would have left them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from datastead.data import system
from tests.databases import sqlalchemy_url

USER = "00000000-0000-4000-8000-0000000000aa"
NOW = datetime.now(UTC)


def a_call(**values: Any) -> dict[str, Any]:
    return {"id": str(uuid4()), "state": "settled", "provider": "openai", "model": "gpt-5", "kind": "generate",
            "price_state": "known", "created_at": NOW, **values}  # fmt: skip


def write_calls(url: str, calls: list[dict[str, Any]], *, keep: bool = True) -> None:
    """keep: what is there already."""
    engine = sa.create_engine(sqlalchemy_url(url))
    with engine.begin() as connection:
        if not keep:
            connection.execute(sa.delete(system.ai_calls))
        for call in calls:
            connection.execute(sa.insert(system.ai_calls).values(**call))
    engine.dispose()
