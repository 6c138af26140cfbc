"""Budgets with names, rolling windows and limits of requests; and the order in which the ledger's rows were written."""

import sqlalchemy as sa

from datastead.data import system
from datastead.data.engine import Transaction
from datastead.data.migrations import add_missing_columns
from datastead.data.upserts import insert_missing

_NUMBERED = (
    "ALTER TABLE datastead_ai_calls ALTER COLUMN sequence SET DEFAULT pg_current_xact_id()::text::bigint",
    "UPDATE datastead_ai_calls SET sequence = 0 WHERE sequence IS NULL",
    "ALTER TABLE datastead_ai_calls ALTER COLUMN sequence SET NOT NULL",
    "CREATE INDEX IF NOT EXISTS datastead_ai_calls_sequence ON datastead_ai_calls (sequence)",
)
"""PostgreSQL commits in another order than it numbers rows in; but what is before every transaction that is open can be
told by the transaction's id (see `ai/sums.py`)."""
_COUNTED = (
    "ALTER TABLE datastead_ai_calls MODIFY sequence BIGINT NOT NULL AUTO_INCREMENT,"
    " ADD UNIQUE INDEX IF NOT EXISTS datastead_ai_calls_sequence (sequence)"
)
"""On MariaDB rows have numbers; the counter `ledger` is locked by who writes one, and by who reads the last."""


def upgrade(transaction: Transaction) -> None:
    """Adds what is missing to tables that were made before."""
    add_missing_columns(transaction, system.budgets)
    add_missing_columns(transaction, system.ai_calls)
    for index in sorted(system.ai_calls.indexes, key=lambda index: str(index.name)):
        index.create(transaction.connection, checkfirst=True)
    if transaction.dialect == "postgresql":
        for statement in _NUMBERED:
            transaction.execute(sa.text(statement))
    elif transaction.dialect == "mariadb":
        transaction.execute(sa.text(_COUNTED))
        transaction.execute(insert_missing("mariadb", system.versions), {"name": "ledger", "version": 0})
