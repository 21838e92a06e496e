"""What the page on architecture says of packages and files is what is there."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def section(title: str) -> str:
    """The text below one heading of the second level."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return re.split(r"^## ", page.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    """The cells of the first column that hold names in code style."""
    return [cell.strip() for cell in re.findall(r"^\|( `.*?)\|", text, re.MULTILINE)]


def test_packages_are_listed_in_the_order_that_the_import_contract_holds():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one["layers"] for one in contracts["contracts"] if one["type"] == "layers")

    listed = [" | ".join(re.findall(r"\w+", row)) for row in first_column(section("Packages"))]

    assert listed == layers


def test_every_file_of_the_data_plane_is_on_the_way_of_a_request_or_beside_it():
    files = {file.stem for file in (ROOT / "sidecar" / "proxy").glob("[a-z]*.py")}
    text = section("The life of a request")
    on_the_way = set(re.findall(r"\*\*`(\w+)`\*\*", text))
    beside = set(re.findall(r"\w+", " ".join(first_column(text))))

    assert on_the_way | beside == files
    assert on_the_way.isdisjoint(beside)


def test_every_key_that_is_accepted_and_not_acted_on_is_named():
    reference = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    unused = re.findall(r"^\| `(\w+)` .*this version does not act on it", reference, re.MULTILINE)

    named = re.findall(r"`[\w.*\[\]]*?(\w+)`", section("What is not there yet"))

    assert sorted(named) == sorted(unused)
