"""Networks that select the number of a given rank by taking minima and maxima of whole arrays.

A comparator sorts two numbers by their minimum and maximum. Batcher's odd-even merge joins two
sorted lists with few of them, whatever the numbers are, so that one call of NumPy can do a
comparator for thousands of windows at once. Only those comparators are kept that the selected
number depends on.

A rectangular window is sorted axis by axis: first the numbers along one axis, which neighbouring
windows share, and then these sorted lists are merged along the next one.

Source: D. E. Knuth, "The Art of Computer Programming", volume 3, section 5.3.4, algorithm M.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from convlens.core.problem import Array


class Comparison(NamedTuple):
    """One half of a comparator.

    Attributes
    ----------
    merge : numpy.ufunc
        `numpy.minimum` or `numpy.maximum`.
    first, second, result : int
        The numbers of the arrays that it reads, and of the one that it makes.
    done : tuple of int
        The arrays made before that nothing reads any more.
    """

    merge: np.ufunc
    first: int
    second: int
    result: int
    done: tuple[int, ...]


class Stage(NamedTuple):
    """Merging sorted lists that lie side by side along an axis.

    Attributes
    ----------
    lists, length : int
        How many lists are merged, and how many numbers each has: array ``i * length + j`` is number
        j of list i.
    comparisons : tuple of Comparison
    results : tuple of (int or None)
        The arrays of the merged list; None for those that are never needed.
    """

    lists: int
    length: int
    comparisons: tuple[Comparison, ...]
    results: tuple[int | None, ...]


class _Graph:
    """The comparators of a stage, of which each half is a node."""

    def __init__(self, leaves: int) -> None:
        self.leaves = leaves
        self.nodes: list[tuple[np.ufunc, int, int]] = []
        self._known: dict[tuple[np.ufunc, int, int], int] = {}

    def node(self, merge: np.ufunc, first: int, second: int) -> int:
        for kept, other in ((first, second), (second, first)):
            for part, rest in self._halves(merge, other):
                pair = (kept, part) if merge is np.minimum else (part, kept)
                if self._is_below(*pair):  # The part changes nothing beside what is kept.
                    return self.node(merge, kept, rest)
        key = merge, min(first, second), max(first, second)
        if key not in self._known:
            self._known[key] = self.leaves + len(self.nodes)
            self.nodes.append(key)
        return self._known[key]

    def _halves(self, merge: np.ufunc, node: int) -> list[tuple[int, int]]:
        """The two that a node merges, if it does so in this way, in both orders."""
        if node < self.leaves or self.nodes[node - self.leaves][0] is not merge:
            return []
        _, first, second = self.nodes[node - self.leaves]
        return [(first, second), (second, first)]

    def _is_below(self, low: int, high: int) -> bool:
        """Whether one number is known to be at most another: there is one between them."""
        above = {low, *(first for first, _ in self._halves(np.minimum, low))}
        return high in above or any(first in above for first, _ in self._halves(np.maximum, high))

    def merged(self, first: Sequence[int], second: Sequence[int]) -> list[int]:
        """Two sorted lists as one, by merging their even and their odd places."""
        if not first or not second:
            return [*first, *second]
        if len(first) == len(second) == 1:
            pair = first[0], second[0]
            return [self.node(np.minimum, *pair), self.node(np.maximum, *pair)]
        even = self.merged(first[::2], second[::2])
        odd = self.merged(first[1::2], second[1::2])
        result = even[:1]
        for low, high in zip(odd, even[1:], strict=False):
            result += [self.node(np.minimum, low, high), self.node(np.maximum, low, high)]
        return result + odd[len(even) - 1 :] + even[len(odd) + 1 :]

    def stage(self, lists: int, length: int, results: Sequence[int | None]) -> Stage:
        """The stage that makes these nodes, with the comparators that they depend on."""
        needed = {node for node in results if node is not None}
        for number in range(len(self.nodes) - 1, -1, -1):
            if self.leaves + number in needed:
                needed.update(self.nodes[number][1:])
        last_use: dict[int, int] = {}
        for number, (_, *read) in enumerate(self.nodes):
            if self.leaves + number in needed:
                last_use.update(dict.fromkeys(read, number))
        kept = {node for node in results if node is not None}
        comparisons = tuple(
            Comparison(
                *each,
                self.leaves + number,
                tuple(
                    node
                    for node in each[1:]
                    if node >= self.leaves and last_use[node] == number and node not in kept
                ),
            )
            for number, each in enumerate(self.nodes)
            if self.leaves + number in needed
        )
        return Stage(lists, length, comparisons, tuple(results))


@lru_cache(maxsize=64)
def network(window: tuple[int, ...], rank: int) -> tuple[Stage, ...]:
    """The stages that select the number of this rank, 0 for the smallest, of a rectangular window.

    The first stage merges along the first axis of the window.
    """
    if not window:
        return ()
    graphs, length = [], 1
    for size in window[:-1]:
        graph = _Graph(size * length)
        results = _joined(graph, _lists(size, length))
        graphs.append((graph, size, length, results))
        length = len(results)
    last = (_last(window[-1], length, rank, across=across) for across in (False, True))
    graphs.append(min(last, key=lambda each: len(each[0].stage(*each[1:]).comparisons)))
    stages, needed = [], {0}
    for graph, size, length, results in reversed(graphs):
        wanted = [node if place in needed else None for place, node in enumerate(results)]
        stage = graph.stage(size, length, wanted)
        stages.append(stage)
        read = {node for each in stage.comparisons for node in (each.first, each.second)}
        read |= {node for node in stage.results if node is not None}
        needed = {node % length for node in read if node < graph.leaves}
    return tuple(reversed(stages))


def _lists(count: int, length: int) -> list[list[int]]:
    """The numbers of so many lists."""
    return [list(range(i * length, (i + 1) * length)) for i in range(count)]


def _last(
    count: int, length: int, rank: int, *, across: bool
) -> tuple[_Graph, int, int, list[int]]:
    """The last stage, which selects; the numbers are sorted across the lists first, or not."""
    graph, lists = _Graph(count * length), _lists(count, length)
    if across:
        lists, rank = _sorted_across(graph, lists, rank)
    return graph, count, length, [_selected(graph, lists, rank)]


def _joined(graph: _Graph, lists: list[list[int]]) -> list[int]:
    """Sorted lists as one, by merging the shortest two at a time."""
    while len(lists) > 1:
        lists.sort(key=len)
        first, second, *lists = lists
        lists.append(graph.merged(first, second))
    return lists[0]


def _sorted_across(graph: _Graph, lists: list[list[int]], rank: int) -> tuple[list[list[int]], int]:
    """Those numbers of sorted lists that may have a rank, and the rank that it is among them.

    Sorting the numbers at each place of the lists leaves the lists sorted. Then no number is
    smaller than those that stand before it in both ways, or larger than those behind.
    """
    count, length = len(lists), len(lists[0])
    rows = [_joined(graph, [[numbers[i]] for numbers in lists]) for i in range(length)]
    left, below = [], rank
    for j in range(count):
        places = [i for i in range(length) if (length - i) * (count - j) <= count * length - below]
        left.append([rows[i][j] for i in places if (i + 1) * (j + 1) <= below + 1])
        rank -= length - len(places)
    return [numbers for numbers in left if numbers], rank


def _selected(graph: _Graph, lists: list[list[int]], rank: int) -> int:
    """The number of a rank among all numbers of sorted lists.

    A number is left out once so many others of its list are smaller, or larger, that it cannot have
    the rank.
    """
    total = sum(map(len, lists))

    def trimmed(numbers: list[int]) -> list[int]:
        nonlocal rank, total
        low, high = max(0, rank - (total - len(numbers))), min(len(numbers) - 1, rank)
        rank, total = rank - low, total - (len(numbers) - (high - low + 1))
        return numbers[low : high + 1]

    lists = [trimmed(each) for each in lists]
    while len(lists) > 1:
        lists.sort(key=len)
        first, second, *lists = lists
        lists.append(trimmed(graph.merged(first, second)))
    return lists[0][rank]


def run(stage: Stage, values: Sequence[Array | None], axis: int) -> list[Array | None]:
    """Merge the lists of a stage, whose numbers are arrays of cells, along an axis of these."""
    some = next(each for each in values if each is not None)
    count = some.shape[axis] - stage.lists + 1
    along = (slice(None),) * axis
    made: dict[int, Array] = {}
    spare: list[Array] = []

    def number(node: int) -> Array:
        if node in made:
            return made[node]
        shift, place = divmod(node, stage.length)
        array = values[place]
        assert array is not None, "a network reads only what the stage before it makes"
        return array[(*along, slice(shift, shift + count))]

    shape = (*some.shape[:axis], count, *some.shape[axis + 1 :])
    for merge, first, second, result, done in stage.comparisons:
        out = spare.pop() if spare else np.empty(shape, some.dtype)
        made[result] = merge(number(first), number(second), out=out)
        spare += [made.pop(node) for node in done]
    return [None if node is None else number(node) for node in stage.results]
