"""Sharing work among a few threads."""

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def share(items: Sequence[T], work: Callable[[T], object], threads: int) -> None:
    """Work through `items`, each thread taking the next when it has done one; raise the first failure."""
    waiting: queue.SimpleQueue[T | None] = queue.SimpleQueue()
    for item in [*items, *[None] * threads]:
        waiting.put(item)

    def loop() -> None:
        while (item := waiting.get()) is not None:
            work(item)

    with ThreadPoolExecutor(threads) as pool:
        crew = [pool.submit(loop) for _ in range(threads)]
        for member in crew:
            member.result()
