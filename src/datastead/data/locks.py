"""Locks that one transaction has until it ends, and that others wait for."""

import sqlalchemy as sa

from datastead.data import system
from datastead.data.engine import Transaction
from datastead.data.upserts import upsert


def hold_users(transaction: Transaction) -> None:
    """One transaction at a time changes who may do what. SQLite has one writer anyway."""
    if transaction.dialect == "postgresql":
        transaction.execute(sa.text("LOCK TABLE directus_users IN SHARE ROW EXCLUSIVE MODE"))
    elif transaction.dialect == "mariadb":  # there a lock on a table would end the transaction
        lock_counter(transaction, "users")


def lock_counter(transaction: Transaction, name: str) -> None:
    """Locks a row of `datastead_versions`, which is made where it is missing."""
    versions = system.versions
    statement = upsert(transaction.dialect, versions, lambda _: {"version": versions.c.version})
    transaction.execute(statement, {"name": name, "version": 0})
