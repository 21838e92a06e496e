"""A record's attributes are those of a CloudEvent."""

import re

from harness.delivering import item

from sidecar.delivery.sinks.envelope import attributes


def test_the_attributes_that_every_event_must_have_are_there():
    named = attributes(item(7).record, "/here")

    assert (named["specversion"], named["source"]) == ("1.0", "/here")
    assert named["id"] == item(7).id
    assert named["type"] == "sidecar.record"
    assert named["time"] == "2023-11-14T22:13:20.000000007Z"


def test_names_are_those_that_every_binding_can_carry():
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in attributes(item(7).record, "/here"))
