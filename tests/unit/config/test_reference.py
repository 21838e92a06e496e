"""The reference page: current, complete, and true where it can be checked."""

import re
from pathlib import Path

from sidecar.config.keys import keys, sections_below
from sidecar.config.reference import EXAMPLE, reference_page
from sidecar.config.settings import Settings
from sidecar.control.plane import NEEDS_RESTART

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_in_the_repository_is_current():
    assert PAGE.read_text(encoding="utf-8") == reference_page(), (
        "run `python -m sidecar.config.reference > docs/configuration.md`"
    )


def test_its_example_is_valid_and_gives_no_cause_for_remarks(load_text):
    assert load_text(EXAMPLE).remarks == ()


def test_its_variables_override_its_example(load_text):
    block = re.search(r"```sh\n(.*?)```", reference_page(), re.DOTALL)[1]
    environ = dict(line.replace("'", "").split("=", 1) for line in block.splitlines())

    settings = load_text(EXAMPLE, **environ).settings

    assert len(environ) == 4
    assert settings.listeners == ("0.0.0.0:8080", "unix:/run/sidecar.sock")
    assert settings.models["stable"].url == "http://10.0.0.7:9000"
    assert settings.routes[0].canaries[0].percent == 10


def test_every_key_of_every_section_has_a_row():
    page = reference_page()

    for section in (Settings, *sections_below(Settings)):
        for key in keys(section):
            assert f"| `{key.name}` | " in page


def test_every_link_leads_to_a_heading():
    page = reference_page()
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}

    assert set(re.findall(r"\]\(#(.*?)\)", page)) <= anchors


def test_what_it_says_of_a_reload_is_what_the_control_plane_does():
    assert set(Settings.__struct_fields__) - set(NEEDS_RESTART) == {
        "models",
        "routes",
        "limits",
        "monitor",
        "drift",
        "alerts",
        "sinks",
    }
