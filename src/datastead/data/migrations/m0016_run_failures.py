"""How often an internal error has stopped a run."""

from datastead.data import system
from datastead.data.engine import Transaction
from datastead.data.migrations import add_missing_columns


def upgrade(transaction: Transaction) -> None:
    """Adds the column to runs that were made before it."""
    add_missing_columns(transaction, system.runs)
