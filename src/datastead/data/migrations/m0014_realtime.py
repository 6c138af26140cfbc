"""What processes tell one another for their subscribers."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates the tables, each where it is missing."""
    for table in (system.listeners, system.changes):
        table.create(transaction.connection, checkfirst=True)
