"""The detector fulfils the contract."""

from oodbench_template import NearestMean

from oodbench.testing import parametrize_with_checks


@parametrize_with_checks([NearestMean(), NearestMean(normalize=True)])
def test_contract(check):
    check()
