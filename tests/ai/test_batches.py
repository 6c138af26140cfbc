"""Short writes that share a commit: each is told of its own outcome."""

import asyncio

import pytest
import sqlalchemy as sa

from datastead.ai.batches import Batches
from datastead.data.engine import Transaction
from datastead.errors import ContentFiltered
from tests.ai.conftest import House

_NUMBERS = sa.table("numbers", sa.column("number", sa.Integer))


async def _made(house: House) -> Batches:
    await house.database.write(
        lambda transaction: transaction.execute(sa.text("CREATE TABLE numbers (number INTEGER)"))
    )
    return Batches(house.database)


def _insert(number: int) -> "sa.Insert":
    return sa.insert(_NUMBERS).values(number=number)


async def _written(house: House) -> list[int]:
    query = sa.select(_NUMBERS.c.number).order_by(_NUMBERS.c.number)
    return [number for (number,) in await house.database.read(lambda transaction: transaction.execute(query).all())]


async def test_a_write_that_fails_fails_alone(any_house: House) -> None:
    batches = await _made(any_house)
    missing = sa.text("INSERT INTO missing VALUES (1)")
    writes = [batches.write(lambda transaction, number=number: transaction.execute(_insert(number)) and number)
              for number in range(3)]  # fmt: skip
    broken = batches.write(lambda transaction: transaction.execute(missing))

    outcomes = await asyncio.gather(*writes, broken, return_exceptions=True)

    assert outcomes[:3] == [0, 1, 2]
    assert isinstance(outcomes[3], sa.exc.SQLAlchemyError)
    assert await _written(any_house) == [0, 1, 2]


async def test_a_refusal_leaves_what_was_written_with_it(any_house: House) -> None:
    batches = await _made(any_house)

    def refuse(_: Transaction) -> None:
        raise ContentFiltered

    written, refused = await asyncio.gather(
        batches.write(lambda transaction: transaction.execute(_insert(1)) and 1),
        batches.write(refuse),
        return_exceptions=True,
    )

    assert written == 1
    assert isinstance(refused, ContentFiltered)
    assert await _written(any_house) == [1]


async def test_who_waits_too_long_is_told_so_and_the_write_is_done_all_the_same(house: House) -> None:
    batches = await _made(house)
    loop = asyncio.get_running_loop()
    async with house.database.transaction() as other:  # the one writer is busy
        await other.execute(_insert(1))
        late = batches.write(lambda transaction: transaction.execute(_insert(2)) and 2, loop.time() + 0.02)
        patient = batches.write(lambda transaction: transaction.execute(_insert(3)) and 3, loop.time() + 60)
        with pytest.raises(TimeoutError):
            await late

    assert await patient == 3
    assert await _written(house) == [1, 2, 3]


async def test_writes_that_come_while_others_are_written_follow_them(any_house: House) -> None:
    batches = await _made(any_house)

    async def two(number: int) -> None:
        await batches.write(lambda transaction: transaction.execute(_insert(number)))
        await batches.write(lambda transaction: transaction.execute(_insert(number + 100)))

    await asyncio.gather(*(two(number) for number in range(100)))

    assert await _written(any_house) == [*range(200)]
