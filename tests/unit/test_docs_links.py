"""Links between the pages of the repository lead to files and headings that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ELSEWHERE = ("https://", "http://", "mailto:")


def text_of(page: Path) -> str:
    """A page without its code blocks: what looks like a link or a heading there is none."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def leads_somewhere(page: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    file = (page.parent / target).resolve() if target else page
    if not file.exists() or not file.is_relative_to(ROOT):
        return False
    return not anchor or (file.suffix == ".md" and anchor in anchors_of(file))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_or_heading_of_the_repository(page):
    links = [link for link in LINK.findall(text_of(page)) if not link.startswith(ELSEWHERE)]

    assert [link for link in links if not leads_somewhere(page, link)] == []


def test_links_are_found_and_broken_ones_are_noticed(tmp_path):
    page = ROOT / "README.md"

    assert {"docs/sidecar.svg", "docs/configuration.md"} <= set(LINK.findall(text_of(page)))
    assert leads_somewhere(page, "docs/operations.md#reloading")
    assert not leads_somewhere(page, "docs/operations.md#no-such-heading")
    assert not leads_somewhere(page, "docs/no-such-page.md")
    assert not leads_somewhere(page, f"{tmp_path}")


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs" / "adr"
    records = {record.name for record in folder.glob("[0-9]*.md")}

    assert records == set(LINK.findall(text_of(folder / "README.md"))) - {"../architecture.md"}
