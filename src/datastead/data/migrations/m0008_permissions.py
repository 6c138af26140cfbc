"""The table of what policies permit."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates it where it is missing."""
    system.permissions.create(transaction.connection, checkfirst=True)
