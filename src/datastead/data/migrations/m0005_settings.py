"""The project's settings: the table, where it is missing, and its one row."""

from uuid import uuid4

import sqlalchemy as sa

from datastead.data import system
from datastead.data.engine import Transaction

ALLOWED_AT_FIRST = {
    "ai_openai_allowed_models": ["gpt-5-nano", "gpt-5-mini", "gpt-5"],
    "ai_anthropic_allowed_models": ["claude-haiku-4-5", "claude-sonnet-4-5"],
    "ai_google_allowed_models": [
        "gemini-3-pro-preview", "gemini-3-flash-preview", "gemini-2.5-pro", "gemini-2.5-flash"
    ],
}  # fmt: skip
"""As in a new Directus: whoever enters a key can call these, and nothing else."""


def upgrade(transaction: Transaction) -> None:
    """Makes them. A table that Directus made stays as it is, and so does its row."""
    table = system.settings
    table.create(transaction.connection, checkfirst=True)
    if transaction.execute(sa.select(table.c.id).limit(1)).first() is not None:
        return
    have = {column["name"] for column in sa.inspect(transaction.connection).get_columns(table.name)}
    row = {"project_id": str(uuid4()), **ALLOWED_AT_FIRST}
    transaction.execute(table.insert().values({name: value for name, value in row.items() if name in have}))
