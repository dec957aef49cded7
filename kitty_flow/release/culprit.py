"""Which layer of a stack made the tests red: a binary search over prefixes, repeated before anybody is blamed."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["first_red"]


def first_red(count: int, is_green: Callable[[int], bool], is_green_again: Callable[[int], bool]) -> int | None:
    """The first of `count` layers whose tests are red twice; None when the last one passes after all.

    What is below the layers is green and the last layer was red. For 8 layers at most 3 runs find the first red one,
    and one repeats it. A layer that passes when it is repeated was a flake, and the search goes on above it.

    Args:
        is_green: tests the layer of a number, from 0, for the first time.
        is_green_again: tests a red one once more.
    """
    green, red = -1, count - 1
    while True:
        while red - green > 1:
            middle = (green + red) // 2
            if is_green(middle):
                green = middle
            else:
                red = middle
        if not is_green_again(red):
            return red
        if red == count - 1:
            return None
        green, red = red, count - 1
