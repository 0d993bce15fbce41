"""Dependency graphs as arrays: order in time as a chain of few edges, and strongly connected components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.judge.transactions.append_kernels import GLUE, PROCESS, REALTIME, links, tarjan
from seatrial.judge.transactions.jit import kernel

Column = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Dependencies: source and target nodes, kind (WW .. GLUE), why: a number that the maker of the edge explains."""

    source: Column
    target: Column
    kind: Column
    why: Column

    def __len__(self) -> int:
        """Number of edges."""
        return len(self.source)

    def take(self, rows: Column) -> Edges:
        """Return some of the edges."""
        return Edges(source=self.source[rows], target=self.target[rows], kind=self.kind[rows], why=self.why[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """real: nodes below it are transactions; the others only stand between them, and an edge through them is one."""

    real: int
    nodes: int
    edges: Edges


def edges_of(source: Any, target: Any, kind: Any, why: Any) -> Edges:
    """Make edges of columns; kind and why may be one number for all."""
    many = len(source)
    kinds = np.full(many, kind, np.int8) if isinstance(kind, int) else np.asarray(kind, np.int8)
    whys = np.full(many, why, np.int32) if isinstance(why, int) else np.asarray(why, np.int32)
    return Edges(source=np.asarray(source, np.int32), target=np.asarray(target, np.int32), kind=kinds, why=whys)


def none() -> Edges:
    """Return no edges."""
    return edges_of([], [], 0, 0)


def joined(parts: list[Edges]) -> Edges:
    """Return all edges together."""
    return Edges(
        source=np.concatenate([p.source for p in parts]),
        target=np.concatenate([p.target for p in parts]),
        kind=np.concatenate([p.kind for p in parts]),
        why=np.concatenate([p.why for p in parts]),
    )


def process_edges(process: Column, start: Column, committed: Column) -> Edges:
    """From each committed transaction to the next of its process. What was left open may take effect later."""
    rows = np.flatnonzero(committed)
    rows = rows[np.lexsort((start[rows], process[rows]))]
    source, target = rows[:-1], rows[1:]
    keep = process[source] == process[target]
    return edges_of(source[keep], target[keep], PROCESS, 0)


def time_edges(start: Column, end: Column, counted: Column, committed: Column, first_node: int) -> tuple[Edges, int]:
    """What ended before another began, as a chain of one node an ending: 3 edges a transaction instead of many.

    A transaction leads to the node of its ending, that to the next ending, and the last ending before
    a beginning leads to what began. Return the edges and how many nodes the chain has.
    """
    ended = np.flatnonzero(counted & committed & (end >= 0))
    ended = ended[np.argsort(end[ended], kind="stable")]
    chain = np.arange(len(ended)) + first_node
    begun = np.flatnonzero(counted)
    last = np.searchsorted(end[ended], start[begun]) - 1
    late = last >= 0
    parts = [
        edges_of(ended, chain, REALTIME, 0),
        edges_of(chain[:-1], chain[1:], GLUE, 0),
        edges_of(chain[last[late]] if len(chain) else [], begun[late], GLUE, 0),
    ]
    return joined(parts), len(ended)


def linked(edges: Edges, nodes: int) -> tuple[Column, Column]:
    """Return targets by source: where each node's begin (one more than nodes), and the targets."""
    begin = _begins(edges, nodes)
    to = np.empty(len(edges), np.int32)
    run = kernel(links, len(edges) * 4)
    if run is links:
        return begin, edges.target[np.argsort(edges.source, kind="stable")]
    run(edges.source, edges.target, begin, to)
    return begin, to


def sorted_edges(edges: Edges, nodes: int) -> tuple[Column, Edges]:
    """Return where each node's edges begin, and the edges sorted by source."""
    return _begins(edges, nodes), edges.take(np.argsort(edges.source, kind="stable"))


def _begins(edges: Edges, nodes: int) -> Column:
    begin = np.zeros(nodes + 1, np.int32)
    np.cumsum(np.bincount(edges.source, minlength=nodes), out=begin[1:])
    return begin


def components(begin: Column, to: Column) -> tuple[Column, int]:
    """Return group of each node (-1: in no cycle) and how many groups there are."""
    nodes = len(begin) - 1
    run = kernel(tarjan, 8 * (nodes + len(to)))
    if run is tarjan:
        space = [[0] * nodes for _ in range(5)]
        group = [-1] * nodes
        many = tarjan(begin.tolist(), to.tolist(), space[0], space[1], group, *space[2:])
        return np.array(group, np.int32), many
    work = [np.zeros(nodes, np.int32) for _ in range(5)]
    groups = np.full(nodes, -1, np.int32)
    return groups, int(run(begin, to, work[0], work[1], groups, *work[2:]))


def cyclic_parts(graph: Graph) -> list[Graph]:
    """Return the strongly connected components with a cycle, smallest first, nodes keeping their numbers."""
    begin, to = linked(graph.edges, graph.nodes)
    group, many = components(begin, to)
    del begin, to
    if not many:
        return []
    inside = np.flatnonzero((group[graph.edges.source] >= 0) & (group[graph.edges.source] == group[graph.edges.target]))
    inside = inside[np.argsort(group[graph.edges.source[inside]], kind="stable")]
    owner = group[graph.edges.source[inside]]
    cuts = np.flatnonzero(np.diff(owner)) + 1
    parts = [graph.edges.take(rows) for rows in np.split(inside, cuts)]
    parts.sort(key=len)
    return [Graph(real=graph.real, nodes=graph.nodes, edges=part) for part in parts]
