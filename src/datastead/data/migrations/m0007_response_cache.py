"""The table of the response cache."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates it where it is missing."""
    system.ai_cache.create(transaction.connection, checkfirst=True)
