"""All columns in one array: what the gate is given is what the distributions hold."""

import numpy as np
from harness.drift_world import counted, rows

from sidecar.control.drift.packing import Packing
from sidecar.sketch import AreaLayout


def test_packed_bins_are_those_of_the_distributions_and_zeros_behind(world):
    (watched,) = world.known
    values = rows(3_000, seed=5)
    values["x1"][:40] = np.nan
    values["x2"][:7] = np.inf
    area = counted(watched, values)
    packing = Packing(watched.layout)
    packed = packing.of(area.bins())
    assert packing.columns == watched.columns
    for place, column in enumerate(watched.columns):
        distribution = area.block(0).distribution(column)
        width = packing.bins[place]
        assert packed.values[0, place, :width].tolist() == distribution.binned.tolist()
        assert packed.values[0, place, width:].sum() == 0
        assert packed.missing[0, place] == distribution.missing
        assert packed.rows[0, place] == distribution.rows == 3_000


def test_a_layout_without_columns_packs_to_nothing(world):
    layout = AreaLayout((), world.known[0].measures)
    packed = Packing(layout).of(np.zeros((1, layout.bin_count), np.int64))
    assert packed.values.size == packed.rows.size == 0
