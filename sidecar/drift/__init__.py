"""Do two distributions differ, and does it matter? Pure."""

from sidecar.drift.dependence import PARTS, dispersion, dispersions, equal_parts
from sidecar.drift.evidence import Evidence, Side, evidence
from sidecar.drift.findings import Finding, FindingKind, summarise
from sidecar.drift.gate import Gated, gate
from sidecar.drift.judge import Comparison, Override, judge
from sidecar.drift.settings import Thresholds
from sidecar.drift.verdict import Absence, Span, Status, Verdict

__all__ = [
    "PARTS",
    "Absence",
    "Comparison",
    "Evidence",
    "Finding",
    "FindingKind",
    "Gated",
    "Override",
    "Side",
    "Span",
    "Status",
    "Thresholds",
    "Verdict",
    "dispersion",
    "dispersions",
    "equal_parts",
    "evidence",
    "gate",
    "judge",
    "summarise",
]
