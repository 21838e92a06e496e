"""Entities count once per period, and those that find no place are said to be untracked."""

from sidecar.monitor.entities import EntityTable, Sight

HOUR_NS = 3600 * 1_000_000_000


class Wall:
    now_ns = 0

    def __call__(self):
        return self.now_ns


def test_an_entity_is_first_once_in_each_period():
    wall = Wall()
    table = EntityTable(3600.0, wall)
    assert [table.see(0, "anna"), table.see(0, "anna")] == [Sight.FIRST, Sight.REPEATED]
    assert table.see(0, "bert") is Sight.FIRST
    wall.now_ns = HOUR_NS - 1
    assert table.see(0, "anna") is Sight.REPEATED
    wall.now_ns = HOUR_NS
    assert table.see(0, "anna") is Sight.FIRST


def test_periods_are_aligned_to_the_epoch_and_not_to_the_first_request():
    wall = Wall()
    wall.now_ns = 5 * HOUR_NS - 1
    table = EntityTable(3600.0, wall)
    assert table.see(0, "anna") is Sight.FIRST
    wall.now_ns += 1
    assert table.see(0, "anna") is Sight.FIRST


def test_watches_do_not_share_their_entities():
    table = EntityTable(3600.0, Wall())
    assert table.see(0, "anna") is Sight.FIRST
    assert table.see(1, "anna") is Sight.FIRST


def test_a_full_table_remembers_whom_it_knows_and_says_so_of_the_others():
    table = EntityTable(3600.0, Wall(), capacity=2)
    assert [table.see(0, name) for name in "abc"] == [Sight.FIRST, Sight.FIRST, Sight.UNTRACKED]
    assert table.see(0, "c") is Sight.UNTRACKED
    assert table.see(0, "a") is Sight.REPEATED


def test_a_clock_that_goes_back_begins_another_period():
    wall = Wall()
    wall.now_ns = 10 * HOUR_NS
    table = EntityTable(3600.0, wall)
    table.see(0, "anna")
    wall.now_ns = 9 * HOUR_NS
    assert table.see(0, "anna") is Sight.FIRST
