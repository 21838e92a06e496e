"""One feature in detail: where its values are now, where they were, and which of them fail."""

from __future__ import annotations

from typing import Any, Final

from sidecar.cli import output

Json = dict[str, Any]

BAR_CELLS: Final = 24
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def show_feature(detail: Json) -> None:
    """Print the bins of a feature, its share of failures in each, and what its verdict rests on."""
    current, against = detail["current"], detail["against"]
    output.say(
        f"\n{detail['feature']} of {detail['route']}/{detail['model']} ({detail['role']}), "
        f"{detail['window']} against {against['name']}: {current['rows']:,} rows against "
        f"{against['rows']:,}"
    )
    output.say(f"  {detail['verdict']['why']}")
    output.say(f"  {evidence_text(detail['verdict']['evidence'])}")
    largest = max(
        (max(cell["share"], cell["reference_share"]) for cell in detail["bins"]), default=0
    )
    output.table(
        ["values", "reference", "now", "", "psi", "rows", "failed", "mean ms"],
        [
            [
                cell["label"],
                percent(cell["reference_share"]),
                percent(cell["share"]),
                bar(cell["share"], largest),
                cell["psi"],
                cell["outcomes"]["rows"],
                percent(cell["outcomes"]["failed_share"]),
                cell["outcomes"]["mean_ms"],
            ]
            for cell in detail["bins"]
        ],
    )
    if detail["segments"]:
        output.table(
            ["segment", "rows", "failed", "mean ms"],
            [
                [
                    f"{one['segment']['key']}={one['segment']['value']}",
                    one["outcomes"]["rows"],
                    percent(one["outcomes"]["failed_share"]),
                    one["outcomes"]["mean_ms"],
                ]
                for one in detail["segments"]
            ],
        )


def evidence_text(evidence: Json) -> str:
    """The statistics beside the verdict, those that exist."""
    figures = {
        "KS": evidence["ks"],
        "KS p": evidence["ks_p"],
        "chi-square p": evidence["chi_square_p"],
        "Cramer's V": evidence["cramers_v"],
        "Jensen-Shannon": evidence["js_distance"],
        "Wasserstein / IQR": evidence["wasserstein_scaled"],
        "mean": evidence["current"]["mean"],
        "mean before": evidence["reference"]["mean"],
    }
    return ", ".join(f"{name} {value:.3g}" for name, value in figures.items() if value is not None)


def percent(share: float | None) -> str | None:
    """A share as people read it; None stays None."""
    return None if share is None else f"{100 * share:.3g} %"


def bar(share: float, largest: float) -> str:
    """A bar as long as the share is of the largest one, in eighths of a character."""
    eighths = round(8 * BAR_CELLS * share / largest) if largest > 0 else 0
    whole, part = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[part] if part else "")
