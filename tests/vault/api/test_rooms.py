"""Rooms: what is lent comes back, those who wait are served in their order, and nobody waits for ever."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from ledger_vectors import refused

from vault.api.rooms import Room
from vault.errors import UnavailableError


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(test())


async def borrow(room: Room, amount: int, name: str, order: list[str], until: asyncio.Event | None = None) -> None:
    async with room.lent(amount):
        order.append(name)
        if until is not None:
            await until.wait()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_who_waits_is_served_in_order_and_the_small_do_not_overtake() -> None:
    async def test() -> None:
        room, order, end = Room(10, 60), list[str](), asyncio.Event()
        first = asyncio.create_task(borrow(room, 8, "first", order, end))
        await settle()
        waiting = [asyncio.create_task(borrow(room, n, str(n), order)) for n in (10, 1, 2)]
        await settle()
        assert order == ["first"]  # 2 are free, but 10 came before
        end.set()
        await asyncio.gather(first, *waiting)
        assert order == ["first", "10", "1", "2"]

    run(test)


def test_a_time_out_gives_back_what_it_never_had() -> None:
    async def test() -> None:
        room, order, end = Room(10, 0.05), list[str](), asyncio.Event()
        holding = asyncio.create_task(borrow(room, 6, "holding", order, end))
        await settle()
        with refused(UnavailableError, "intake-busy"):
            await borrow(room, 10, "too much", order)
        await borrow(room, 4, "the rest", order)  # nobody is before it now
        end.set()
        await holding
        await borrow(room, 10, "all", order)
        assert order == ["holding", "the rest", "all"]

    run(test)


def test_who_gives_up_lets_the_next_pass() -> None:
    async def test() -> None:
        room, order, end = Room(10, 0.2), list[str](), asyncio.Event()
        holding = asyncio.create_task(borrow(room, 6, "holding", order, end))
        await settle()
        large = asyncio.create_task(borrow(room, 10, "large", order))
        await settle()
        small = asyncio.create_task(borrow(room, 4, "small", order))
        await settle()
        large.cancel()
        await small
        with pytest.raises(asyncio.CancelledError):
            await large
        end.set()
        await holding
        await borrow(room, 10, "all", order)
        assert order == ["holding", "small", "all"]

    run(test)


def test_who_is_cancelled_as_its_turn_comes_gives_it_on() -> None:
    async def test() -> None:
        room, order, end = Room(1, 60), list[str](), asyncio.Event()
        holding = asyncio.create_task(borrow(room, 1, "holding", order, end))
        await settle()
        unlucky = asyncio.create_task(borrow(room, 1, "unlucky", order))
        next_one = asyncio.create_task(borrow(room, 1, "next", order))
        await settle()
        end.set()
        await holding
        unlucky.cancel()  # its turn was given to it, and it has not run yet
        await next_one
        await borrow(room, 1, "last", order)
        assert order[0] == "holding"
        assert order[-2:] == ["next", "last"]

    run(test)


def test_what_fails_inside_gives_back() -> None:
    async def test() -> None:
        room = Room(1, 60)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with room.lent(1):
                    raise ZeroDivisionError

    run(test)
