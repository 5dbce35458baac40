"""Exact nearest-neighbour search in blocks, without a tree or an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 65_536
"""Rows of a bank that are compared with at once."""

GROUP = 32
"""Values of a group of which just the largest is looked at first."""

SPARE = 50
"""How many more candidates there are than neighbours that are asked for."""

GATHERED = 2**22
"""Numbers of the bank that are looked up again at once."""


def largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the largest values of each row and where they are, as `torch.topk` does, but faster.

    The ``count`` largest values are in the ``count`` groups with the largest maxima: any other
    group has a maximum that is no larger than ``count`` others.

    Args:
        values: (n, m).
        count: at most m.

    Returns:
        The values (n, count), from large to small, and their positions (n, count) int64.
    """
    import torch

    n, m = values.shape
    groups = m // GROUP
    if groups <= 2 * count:
        found = values.topk(count, dim=1)
        return found.values, found.indices
    whole = values[:, : groups * GROUP].unflatten(1, (groups, GROUP))
    chosen = whole.amax(dim=2).topk(count, dim=1).indices  # (n, count)
    candidates = whole.gather(1, chosen[:, :, None].expand(-1, -1, GROUP)).flatten(1)
    within = torch.arange(GROUP, device=values.device)
    places = (chosen[:, :, None] * GROUP + within).flatten(1)
    rest = torch.arange(groups * GROUP, m, device=values.device).expand(n, -1)
    candidates = torch.cat([candidates, values[:, groups * GROUP :]], dim=1)
    best = candidates.topk(count, dim=1)
    return best.values, torch.cat([places, rest], dim=1).gather(1, best.indices)


def most_alike(
    queries: Tensor, bank: Tensor, count: int, offsets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the largest products of each query with the rows of a bank, and which rows these are.

    Args:
        queries: (n, d).
        bank: (m, d), of the same type.
        count: at most m.
        offsets: (m,), added to the products with each row.

    Returns:
        The products (n, count), from large to small, and the rows (n, count) int64.
    """
    import torch
    from torch.nn.functional import linear

    values = queries.new_empty((len(queries), 0))
    rows = torch.empty((len(queries), 0), dtype=torch.int64, device=queries.device)
    for start in range(0, len(bank), ROWS):
        part = bank[start : start + ROWS]
        added = None if offsets is None else offsets[start : start + ROWS]
        new, places = largest(linear(queries, part, added), min(count, len(part)))
        values = torch.cat([values, new], dim=1)
        rows = torch.cat([rows, places + start], dim=1)
        best = values.topk(min(count, values.shape[1]), dim=1)
        values, rows = best.values, rows.gather(1, best.indices)
    return values, rows


def distance_to_nearest(queries: Tensor, bank: Tensor, count: int) -> Tensor:
    """Return the Euclidean distance of each query to the ``count``-th nearest row of a bank.

    Candidates are found in float32, by q'b - |b|^2 / 2, which is large where |q - b| is small;
    their distances are then computed in float64. A query of which float32 cannot tell that all
    neighbours are among the candidates, as where very many rows are alike, is compared with the
    whole bank in float64. So is every query while torch records a graph, which cannot branch by
    values.

    Args:
        queries: (n, d) float32.
        bank: (m, d) float32 of length 1 at most.
        count: at most m.

    Returns:
        (n,) float64.
    """
    import torch

    if torch.compiler.is_compiling():
        return _recorded_distance(queries.double(), bank.double(), count)
    wanted = min(count + SPARE, len(bank))
    halves = torch.linalg.vector_norm(bank, dim=1).square() / 2
    likeness, rows = most_alike(queries, bank, wanted, -halves)
    distances = _distances(queries, bank, rows).kthvalue(count, dim=1).values
    if wanted == len(bank):
        return distances
    # what adding d products, and the half, rounds off at most (Higham 2002, section 3.1), doubled
    error = (queries.shape[1] + 4) * torch.finfo(torch.float32).eps
    own = queries.double().square().sum(dim=1)
    errors = error * own.sqrt().clamp(min=1)
    unsure = ((own - distances**2) / 2 < likeness[:, -1] + errors).nonzero()[:, 0]
    for chosen in torch.split(unsure, max(GATHERED // len(bank), 1)):
        distances[chosen] = _whole_distance(queries[chosen], bank, count)
    return distances


def _distances(queries: Tensor, bank: Tensor, rows: Tensor) -> Tensor:
    """Return the distances of queries (n, d) to rows (n, m) of a bank: (n, m) float64."""
    import torch

    at_once = max(GATHERED // (rows.shape[1] * bank.shape[1]), 1)
    parts = zip(torch.split(queries, at_once), torch.split(rows, at_once), strict=True)
    return torch.cat(
        [(bank[chosen].double() - part[:, None].double()).norm(dim=2) for part, chosen in parts]
    )


def _whole_distance(queries: Tensor, bank: Tensor, count: int) -> Tensor:
    """Return the distance of queries (n, d) to the ``count``-th nearest row: (n,) float64."""
    import torch

    nearest = queries.new_empty((len(queries), 0), dtype=torch.float64)
    for part in torch.split(bank, ROWS):
        found = torch.cdist(
            queries.double(), part.double(), compute_mode="donot_use_mm_for_euclid_dist"
        )
        nearest = torch.cat([nearest, found], dim=1)
        nearest = nearest.topk(min(count, nearest.shape[1]), dim=1, largest=False).values
    return nearest[:, -1]


def _recorded_distance(queries: Tensor, bank: Tensor, count: int) -> Tensor:
    """Return the distance of queries (n, d) to the ``count``-th nearest row: (n,) float64.

    It rounds distances below about 1e-7 off, which a sum over d differences would not, but takes
    no more memory than the products.
    """
    squares = queries.square().sum(dim=1, keepdim=True) + bank.square().sum(dim=1)
    squares = squares - 2 * queries @ bank.T
    farthest = squares.topk(count, dim=1, largest=False).values[:, -1]
    return farthest.clamp(min=0).sqrt()
