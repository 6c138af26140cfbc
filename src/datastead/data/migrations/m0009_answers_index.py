"""The index by which kept answers are found whose time is over."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates it where it is missing."""
    for index in system.ai_answers.indexes:
        index.create(transaction.connection, checkfirst=True)
