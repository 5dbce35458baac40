"""The search for nearest neighbours, against scikit-learn and torch."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch.nn.functional import normalize

from oodbench_posthoc.nearest import GROUP, ROWS, distance_to_nearest, largest, most_alike


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("columns", [7, 6 * GROUP, 40 * GROUP, 40 * GROUP + 5])
def test_the_largest_are_those_of_topk(columns):
    values = drawn(20, columns)
    found, places = largest(values, 3)
    assert torch.equal(found, values.topk(3).values)
    assert torch.equal(values.gather(1, places), found)


def test_the_largest_may_be_equal_and_in_one_group():
    values = torch.zeros(2, 40 * GROUP)
    values[0, 5:10] = 1.0
    found, places = largest(values, 5)
    assert found.tolist() == [[1.0] * 5, [0.0] * 5]
    assert sorted(places[0].tolist()) == [5, 6, 7, 8, 9]
    assert len(set(places[1].tolist())) == 5


def test_a_bank_is_searched_part_by_part():
    queries, bank = drawn(3, 2, seed=1), drawn(ROWS + 500, 2)
    found, rows = most_alike(queries, bank, 4)
    products = queries @ bank.T
    torch.testing.assert_close(found, products.topk(4).values)
    torch.testing.assert_close(products.gather(1, rows), found)


def distances_by_sklearn(queries, bank, count):
    index = NearestNeighbors(algorithm="brute").fit(bank.double().numpy())
    return torch.from_numpy(index.kneighbors(queries.double().numpy(), count)[0][:, -1])


@pytest.mark.parametrize("spread", [1.0, 0.01, 1e-4])
@pytest.mark.parametrize("count", [1, 10, 400])
def test_distances_are_exact_however_close_the_neighbours(spread, count):
    centres = drawn(4, 16)
    bank = normalize(centres.repeat(100, 1) + spread * drawn(400, 16, seed=1), dim=1)
    queries = normalize(centres.repeat(5, 1) + spread * drawn(20, 16, seed=2), dim=1)
    expected = distances_by_sklearn(queries, bank, count)
    found = distance_to_nearest(queries, bank, count)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_distances_are_exact_where_float32_cannot_tell_neighbours_apart():
    close = 1e-5 * drawn(5000, 8)
    bank = normalize(torch.ones(8) + close, dim=1)
    queries = normalize(torch.ones(3, 8) + 1e-5 * drawn(3, 8, seed=1), dim=1)
    expected = distances_by_sklearn(queries, bank, 5)
    torch.testing.assert_close(distance_to_nearest(queries, bank, 5), expected, rtol=1e-6, atol=0)


def test_features_of_length_zero_are_neighbours_like_others():
    bank = torch.cat([torch.zeros(100, 4), -torch.eye(4).repeat(50, 1)])
    queries = torch.eye(4)
    # nearer than the directions opposite (2) and across (1.41) are the zeros (1)
    assert distance_to_nearest(queries, bank, 100).tolist() == [1.0] * 4
    assert distance_to_nearest(queries, bank, 101).tolist() == pytest.approx([2**0.5] * 4)


@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning")  # torch 2.6
def test_a_recorded_graph_finds_the_same_distances():
    class Search(torch.nn.Module):
        def forward(self, queries):
            return distance_to_nearest(queries, bank, 5)

    bank, queries = normalize(drawn(400, 16), dim=1), normalize(drawn(20, 16, seed=1), dim=1)
    found = torch.export.export(Search(), (queries,), strict=False).module()(queries)
    torch.testing.assert_close(found, distance_to_nearest(queries, bank, 5), rtol=1e-7, atol=0)
