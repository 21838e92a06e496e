"""A routing update on its way between processes, and to disk and back."""

import msgspec
import pytest

from sidecar.config.convert import convert
from sidecar.config.units import Duration, Size
from sidecar.config.update import RoutingUpdate
from sidecar.config.wire import decode, decode_update, encode, encode_update
from sidecar.errors import ConfigError
from sidecar.model import CellKey, Role
from sidecar.payload import Protocol
from sidecar.routing import Split


@pytest.fixture
def update() -> RoutingUpdate:
    """An update in which every kind of value occurs."""
    settings = convert(
        {
            "models": {"stable": {"url": "http://a:1"}, "next": {"url": "http://b:1"}},
            "routes": [
                {
                    "name": "iris",
                    "primary": "stable",
                    "canaries": [{"model": "next", "percent": 5}],
                    "shadows": [{"model": "next", "deadline": "250ms", "max_body": "1KiB"}],
                    "sticky": {"cookie": "session"},
                    "payload": {"codec": "open-inference", "features": ["age", "income"]},
                    "segments": [{"name": "region", "from": {"header": "x-region"}}],
                    "capture": {"bodies": 0.1, "models": {"next": 1}, "max_body": "1MiB"},
                }
            ],
            "limits": {"idle_timeout": "1.5s"},
        }
    )
    return RoutingUpdate(
        version=12,
        routes=settings.routes,
        models=settings.models,
        splits={"iris": Split.fresh("stable", {"next": 5}, "salt")},
        limits=settings.limits,
        cells=(CellKey(route="iris", model="stable", role=Role.PRIMARY), None),
        model_rows=("stable", None, "next"),
    )


def test_an_update_survives_the_wire(update):
    assert decode_update(encode_update(update)) == update


def test_quantities_keep_their_types(update):
    received = decode_update(encode_update(update))

    assert type(received.limits.idle_timeout) is Duration
    assert type(received.routes[0].shadows[0].max_body) is Size
    assert type(received.cells[0].role) is Role
    assert type(received.routes[0].payload.codec) is Protocol
    assert type(received.routes[0].capture.max_body) is Size


def test_an_update_that_lacks_what_has_a_default_is_read(update):
    plain = msgspec.msgpack.decode(encode_update(update))
    del plain["limits"]["linger"]

    assert decode_update(msgspec.msgpack.encode(plain)) == update


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("limits", "linger"), "2s"),
        (("limits", "linger"), True),
        (("limits", "buffer"), 1.5),
        (("limits", "buffer"), False),
        (("limits", "unknown"), 1),
        (("splits", "iris", "slots"), b"short"),
        (("cells",), [{"route": "iris", "model": "stable", "role": "boss"}]),
        (("version",), None),
    ],
)
def test_what_is_no_update_is_refused_whole(update, path, value):
    plain = msgspec.msgpack.decode(encode_update(update))
    section = plain
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value

    with pytest.raises(ConfigError, match="not a RoutingUpdate"):
        decode_update(msgspec.msgpack.encode(plain))


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_torn_update_is_refused(update, cut):
    with pytest.raises(ConfigError, match="not a RoutingUpdate"):
        decode_update(encode_update(update)[:cut])


def test_any_value_made_of_structs_travels(update):
    assert decode(encode(update.limits), type(update.limits)) == update.limits


def test_what_has_no_wire_form_is_a_mistake_of_the_caller():
    with pytest.raises(NotImplementedError, match="no wire form for object"):
        encode(object())
