"""The client's inbox: bounded, in order, each item to one taker."""

from __future__ import annotations

import asyncio

import pytest

from broker.client.inbox import Inbox


def _any(item: int) -> bool:
    return True


async def test_items_are_taken_in_order_by_those_they_fit() -> None:
    inbox: Inbox[int] = Inbox(8)
    for item in (1, 2, 3, 4):
        inbox.put(item)
    assert await inbox.take(lambda item: item % 2 == 0, 1) == 2
    assert [await inbox.take(_any, 1) for _ in range(3)] == [1, 3, 4]


async def test_an_item_goes_to_the_taker_who_asked_first() -> None:
    inbox: Inbox[int] = Inbox(8)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(inbox.take(_any, 5))
        second = tasks.create_task(inbox.take(_any, 5))
        await asyncio.sleep(0)
        inbox.put(1)
        inbox.put(2)
    assert (first.result(), second.result()) == (1, 2)


async def test_the_oldest_is_dropped_when_the_inbox_is_full() -> None:
    inbox: Inbox[int] = Inbox(2)
    for item in (1, 2, 3):
        inbox.put(item)
    assert inbox.dropped == 1
    assert inbox.full
    assert await inbox.take(_any, 1) == 2


async def test_a_taker_without_success_is_told_in_time() -> None:
    inbox: Inbox[int] = Inbox(2)
    with pytest.raises(TimeoutError):
        await inbox.take(_any, 0.001)


async def test_what_is_there_can_be_taken_after_the_end_and_then_the_reason_comes() -> None:
    inbox: Inbox[int] = Inbox(2)
    inbox.put(1)
    inbox.close(LookupError("over"))
    assert await inbox.take(_any, 1) == 1
    with pytest.raises(LookupError, match="over"):
        await inbox.take(_any, 1)


async def test_an_item_given_to_a_taker_cancelled_in_the_same_turn_is_not_lost() -> None:
    inbox: Inbox[int] = Inbox(2)
    taker = asyncio.get_running_loop().create_task(inbox.take(_any, 5))
    await asyncio.sleep(0)
    inbox.put(1)
    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker
    assert await inbox.take(_any, 1) == 1


async def test_an_item_of_a_cancelled_taker_goes_to_the_next_who_waits() -> None:
    inbox: Inbox[int] = Inbox(2)
    loop = asyncio.get_running_loop()
    taker = loop.create_task(inbox.take(_any, 5))
    await asyncio.sleep(0)
    inbox.put(1)
    heir = loop.create_task(inbox.take(lambda item: item == 1, 5))
    taker.cancel()
    assert await heir == 1
    with pytest.raises(asyncio.CancelledError):
        await taker
