"""How values read as categories."""

import numpy as np
import pytest

from sidecar.model.categories import category_of


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((3, 3.0, np.float64(3.0), "3"), "3"),
        ((True, "True", "TRUE", "true"), "true"),
        ((False, "False"), "false"),
        ((-1, -1.0), "-1"),
        ((2.5, np.float64(2.5)), "2.5"),
        ((0, 0.0, -0.0), "0"),
        ((1e300,), "1e+300"),
        ((float("inf"),), "inf"),
        ((" x ",), " x "),
    ],
)
def test_a_category_has_one_spelling_whichever_way_it_came(values, text):
    assert {category_of(value) for value in values} == {text}
