"""The schema as data: types taken apart and put into words."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from sidecar.config.keys import from_text, keys, sections_below, shape, wording
from sidecar.config.settings import ModelSettings, Name, Settings
from sidecar.config.units import Duration, Size
from sidecar.model import Role


class Section(Struct):
    """What the section is for."""

    described: Annotated[int, Meta(ge=1), Meta(description="Its own text.")] = 1
    inner: "Section | None" = None
    many: tuple["Section", ...] = ()
    required: str | None = None
    renamed: int = msgspec.field(default=1, name="from")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "an integer"),
        (Annotated[int, Meta(ge=1)], "an integer of at least 1"),
        (Annotated[float, Meta(ge=0, le=1)], "a number from 0 to 1"),
        (
            Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="x")],
            "an integer of at least 1",
        ),
        (str, "text"),
        (Name, "a name: up to 63 letters, digits, `.`, `_` and `-`"),
        (Annotated[float, Meta(gt=0)], "a number of more than 0"),
        (Annotated[float, Meta(gt=0, le=1)], "a number of more than 0 and at most 1"),
        (Annotated[float, Meta(lt=1)], "a number of less than 1"),
        (Role, "`primary` or `canary` or `shadow`"),
        (bool, "true or false"),
        (Literal["a", "b"], "`a` or `b`"),
        (Duration, "a duration such as `500ms`, `30s` or `5m`"),
        (Size | None, "a size such as `64KiB` or `1MB`"),
        (Section, "a mapping"),
        (dict[str, int], "a mapping"),
        (tuple[int, ...], "a list"),
        (Annotated[tuple[int, ...], Meta(min_length=1)], "a list with at least one entry"),
        (str | tuple[str, ...], "text or a list"),
        (Any, "any value"),
    ],
)
def test_a_type_is_put_into_words(annotation, words):
    assert wording(annotation) == words


def test_the_innermost_constraint_is_found_through_every_layer():
    parts = shape(Annotated[Annotated[int, Meta(ge=1)] | None, Meta(le=9, description="outer")])

    assert (parts.bare, parts.optional) == (int, True)
    assert (parts.constraint("ge"), parts.constraint("le")) == (1, 9)
    assert parts.constraint("pattern") is None


def test_the_outer_description_outranks_the_inner():
    parts = shape(Annotated[Annotated[int, Meta(description="inner")], Meta(description="outer")])

    assert parts.constraint("description") == "outer"


def test_a_key_without_text_is_described_by_the_section_it_holds():
    descriptions = {key.name: key.description for key in keys(Section)}

    assert descriptions == {
        "described": "Its own text.",
        "inner": "What the section is for.",
        "many": "What the section is for.",
        "required": "",
        "from": "",
    }


def test_a_key_knows_its_name_in_the_file_and_in_python():
    assert (keys(Section)[-1].name, keys(Section)[-1].attribute) == ("from", "renamed")


def test_sections_are_listed_once_in_the_order_of_the_keys():
    names = [section.__name__ for section in sections_below(Settings)]

    assert len(names) == len(set(names))
    assert names[:3] == ["ListenTls", "AdminSettings", "ModelSettings"]
    assert names.index("ModelSettings") < names.index("Timeouts") < names.index("RouteSettings")


def test_only_quantities_are_read_from_text():
    assert from_text(Duration, "5s") == 5
    assert from_text(Size, "5B") == 5
    with pytest.raises(NotImplementedError, match="complex is no type"):
        from_text(complex, "5")


def test_a_models_endpoints_are_its_url_and_then_its_urls():
    assert ModelSettings(url="http://a", urls=("http://b",)).endpoints == ("http://a", "http://b")
    assert ModelSettings(urls=("http://b",)).endpoints == ("http://b",)
