"""The tables of activity and revisions."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates them where they are missing."""
    system.activity.create(transaction.connection, checkfirst=True)
    system.revisions.create(transaction.connection, checkfirst=True)
