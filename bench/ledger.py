"""Holds a second under a hard budget in total, by how many rows the ledger has: it must not matter.

    python bench/ledger.py [postgresql://user@host/empty_database] [--rows 10 10000 200000] [--seconds 4]

Each hold is settled before its caller makes the next.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from datastead.ai.attempts import new_id
from datastead.ai.budgets import Need
from datastead.ai.entries import Hold, Settlement
from datastead.ai.ledger import Ledger
from datastead.ai.requests import WHO
from datastead.context import system_clock
from datastead.data import system
from datastead.data.engine import Database, Transaction
from datastead.data.migrations import migrate
from datastead.messages import Usage

ROWS = (10, 10_000, 200_000)
CALLERS = 32
WHOLE = 10**15


def main() -> None:
    """Prints a table: rows, holds a second without a budget and with one, and the time of the first hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="an empty database; a SQLite file of its own without it")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="how many rows there are, ever more")
    parser.add_argument(
        "--seconds", type=float, default=4, help="of load in each measurement, after a quarter to warm up"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{Path(folder) / 'ledger.db'}"
        asyncio.run(_measure(url, given.rows, given.seconds))


async def _measure(url: str, sizes: Sequence[int], seconds: float) -> None:
    database = Database.open(url)
    await database.start()
    await migrate(database)
    print(f"{database.dialect}, {CALLERS} at a time")
    print(f"{'rows':>8}{'no budget':>12}{'budget':>10}{'ratio':>8}{'first hold':>14}")
    have = 0
    for rows in sizes:
        have = await _fill(database, have, rows)
        await _budget(database, there=False)
        bare, _, made = await _holds_per_second(database, seconds)
        await _budget(database, there=True)
        held, first_ms, more = await _holds_per_second(database, seconds)
        await _keep(database, rows)
        print(f"{rows:8}{bare:12.0f}{held:10.0f}{held / bare:8.2f}{first_ms:11.1f} ms", flush=True)
        assert made + more > 0
        have = rows
    await database.close()


async def _holds_per_second(database: Database, seconds: float) -> tuple[float, float, int]:
    """Of a new ledger: holds a second, what the first took (it reads all rows), and how many there were."""
    ledger = Ledger(database, system_clock)
    began = time.perf_counter()
    await _call(ledger)
    first_ms = (time.perf_counter() - began) * 1000
    await _for_a_while(ledger, seconds / 4)
    made = await _for_a_while(ledger, seconds)
    await ledger.close()
    return made / seconds, first_ms, made


async def _for_a_while(ledger: Ledger, seconds: float) -> int:
    until, made = time.perf_counter() + seconds, 0

    async def caller() -> None:
        nonlocal made
        while time.perf_counter() < until:
            await _call(ledger)
            made += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return made


async def _call(ledger: Ledger) -> None:
    who: dict[str, str | None] = dict.fromkeys(WHO)
    need = Need(1000, 100, {**who, "model": "m", "provider": "p", "purpose": None}, True)
    hold = Hold(new_id(), "p", "m", who, need, "known", "1")
    await ledger.hold(hold)
    await ledger.settle(Settlement(hold.id, "settled", Usage(input=10, output=10), "provider", 500, 1))


async def _fill(database: Database, have: int, rows: int) -> int:
    """Rows of the last month."""
    now = datetime.now(UTC)
    for start in range(have, rows, 5000):
        made = [_row(now - timedelta(seconds=13 * (rows - n))) for n in range(start, min(start + 5000, rows))]
        await database.write(lambda transaction, made=made: _insert(transaction, made))
    return rows


def _insert(transaction: Transaction, rows: list[dict[str, Any]]) -> None:
    transaction.execute(sa.insert(system.ai_calls), rows)


def _row(moment: datetime) -> dict[str, Any]:
    return {"id": str(uuid4()), "state": "settled", "provider": "p", "model": "m", "cost_nano_usd": 500,
            "input_tokens": 10, "output_tokens": 10, "created_at": moment}  # fmt: skip


async def _budget(database: Database, *, there: bool) -> None:
    def work(transaction: Transaction) -> None:
        transaction.execute(sa.delete(system.budgets))
        if there:
            values = {"id": str(uuid4()), "scope": "all", "window": "total", "hard": True, "limit_nano_usd": WHOLE,
                      "created_at": datetime.now(UTC)}  # fmt: skip
            transaction.execute(sa.insert(system.budgets).values(**values))

    await database.write(work)


async def _keep(database: Database, rows: int) -> None:
    """Takes away what the measurement has added, so that the next size is what it says."""
    newest = sa.select(system.ai_calls.c.id).order_by(system.ai_calls.c.created_at.desc())

    def work(transaction: Transaction) -> None:
        count: int = transaction.execute(sa.select(sa.func.count()).select_from(system.ai_calls)).scalar_one()
        gone = newest.limit(max(count - rows, 0))
        transaction.execute(sa.delete(system.ai_calls).where(system.ai_calls.c.id.in_(gone)))

    await database.write(work)


if __name__ == "__main__":
    main()
