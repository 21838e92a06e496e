"""What the demo says of drift, from known verdicts."""

import io

import pytest
from rich.console import Console, Group

from sidecar.demo.drift_panel import alert_line, in_brief, panel, status_word
from sidecar.demo.verdicts import Alert


def rendered(drift, most=20):
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(panel(drift, most=most))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def alert(severity, summary, state="firing"):
    return Alert(fingerprint=summary, severity=severity, state=state, summary=summary)


def test_the_primary_is_shown_in_full_and_of_the_others_the_psi(watched, verdict):
    lines = rendered(
        [
            watched("trial", "shadow", verdict("car_value", "major", 1.4)),
            watched("next", "canary", verdict("car_value", "insufficient_data", 1.2, n=200)),
            watched("stable", "primary", verdict("car_value", "drift", 0.171, p=0.0004)),
        ]
    )
    assert lines[0].split() == ["stable,", "last", "10s", "next", "trial"]
    assert lines[-1].split() == ["car_value", "drift", "0.17", "<0.001", "1,800", "1.20", "1.40"]


def test_a_column_that_another_model_does_not_have_has_no_figure_there(watched, verdict):
    lines = rendered(
        [watched("stable", "primary", verdict("score")), watched("trial", "shadow", verdict("x"))]
    )
    assert lines[-1].split() == ["score", "ok", "0.02", "0.500", "1,800", "-"]


def test_what_has_no_figure_yet_gets_none(watched, verdict):
    nothing = verdict("car_value", "insufficient_data", None, p=None, n=0)
    lines = rendered([watched("stable", "primary", nothing)])
    assert lines[-1].split() == ["car_value", "collecting", "-", "-", "0"]


def test_what_does_not_fit_is_counted_and_its_worst_status_named_first(watched, verdict):
    columns = [
        verdict("a", "major", 2.0),
        verdict("b", "ok"),
        verdict("c", "drift", 0.2),
        verdict("d", "ok"),
    ]
    lines = rendered([watched("stable", "primary", *columns)], most=1)
    assert lines[-2].split()[0] == "a"
    assert lines[-1] == "and 3 more: drift, ok"


def test_without_verdicts_it_says_why(watched):
    assert rendered([]) == ["drift: nothing has been read yet"]
    why = "the window is not full yet"
    assert rendered([watched("stable", "primary", why=why)]) == [f"drift: {why}"]


@pytest.mark.parametrize(
    ("status", "n", "word"),
    [
        ("insufficient_data", 499, "collecting"),
        ("insufficient_data", 500, "unsettled"),
        ("ok", 500, "ok"),
        ("major", 500, "major"),
    ],
)
def test_too_few_rows_and_too_uneven_ones_are_told_apart(verdict, status, n, word):
    assert status_word(verdict("a", status, n=n)) == word


def test_a_line_names_columns_of_the_primary_that_drift_or_begin_to(watched, verdict):
    primary = [
        verdict("a", "ok"),
        verdict("b", "insufficient_data", 0.9),
        verdict("c", "major", 1.5),
    ]
    drift = [
        watched("trial", "shadow", verdict("d", "major", 3.0)),
        watched("stable", "primary", *primary),
    ]
    assert in_brief(drift) == "c major (PSI 1.50), b unsettled (PSI 0.90)"


def test_no_drift_is_only_said_once_something_was_judged(watched, verdict):
    collecting = verdict("a", "insufficient_data", 0.0, n=3)
    assert in_brief([]) == "collecting"
    assert in_brief([watched("stable", "primary", collecting)]) == "collecting"
    assert in_brief([watched("stable", "primary", collecting, verdict("b"))]) == "none"


def test_alerts_are_counted_and_the_first_is_quoted():
    assert alert_line([]).plain == "no alert"
    one, other = alert("warning", "car_value has drifted"), alert("warning", "score has drifted")
    assert alert_line([one]).plain == "alert  warning: car_value has drifted"
    assert alert_line([one, other]).plain == "2 alerts  warning: car_value has drifted"


def test_an_alert_whose_cause_is_over_says_so():
    over = alert("warning", "car_value has drifted", "clearing")
    assert alert_line([over]).plain == "alert  warning: car_value has drifted, clearing"


def test_columns_stand_where_they_stood_when_long_names_go_out_of_sight(watched, verdict):
    long = "a_column_with_a_long_name_indeed"
    calm = rendered([watched("stable", "primary", verdict("a"), verdict(long))], most=1)
    worse = rendered([watched("stable", "primary", verdict("a"), verdict(long, "major", 1.0))])
    assert calm[1].index("drift") == worse[1].index("drift")


def test_an_alert_of_many_words_stays_on_its_line():
    console = Console(file=io.StringIO(), width=40, color_system=None)
    # In a group, as in the frame: a text that is printed by itself is made anew, and then wraps.
    console.print(Group(alert_line([alert("warning", "many words " * 20)])))
    (line,) = console.file.getvalue().splitlines()
    assert line.startswith("alert  warning: many words")
    assert line.endswith("…")
