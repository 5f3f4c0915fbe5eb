"""The table of `tests/scenarios/old_command.json`: for each shape of command line what the old
script did, and that the command of its name does the same, or the difference that the table gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from conftest import OLD
from old_command import TABLE, Did, run

if TYPE_CHECKING:
    from pathlib import Path

Case = dict[str, Any]

CASES: list[Case] = [case for group in TABLE["cases"].values() for case in group]


def name_of(case: Case) -> str:
    return " ".join(filter(None, (case["words"], case.get("about"), case.get("output"))))


def reasons(case: Case) -> list[Any]:
    return [TABLE["differences"][name] for name in case.get("why", ())]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_command_line_does_what_the_table_says(case: Case, tmp_path: Path) -> None:
    did = run([OLD], case, tmp_path)
    expected = case["now"]
    assert (did.exit, did.prints) == (expected["exit"], expected.get("prints", [])), did
    assert did.server == expected.get("server", {})
    said = iter(did.says)
    for beginning in expected.get("says", []):
        assert any(line.startswith(beginning) for line in map(without_program, said)), did
    if "says" not in expected:
        assert did.says == []
    assert did.sent_secret == ("--start_admin_session" in case["words"])
    assert_no_more(did.server, case)


def without_program(line: str) -> str:
    return line.removeprefix("kaltura_app_token_manager.py: ")


def assert_no_more(server: Case, case: Case) -> None:
    """What was changed on the server is at most what the script changed there for those words."""
    if any(reason.get("more") for reason in reasons(case)):
        return
    original = case["original"].get("server", {})
    assert server.keys() <= original.keys()
    for counted in ("deleted", "sessions"):
        assert server.get(counted, 0) <= original.get(counted, 0)
    for change in ("added", "updated"):
        ours, theirs = server.get(change, {}), original.get(change, {})
        assert ours.keys() <= theirs.keys()
        assert ours.get("description") in (None, theirs.get("description"))
        granted, had = (
            set(filter(None, fields.get("session_privileges", "").split(",")))
            for fields in (ours, theirs)
        )
        assert granted <= had


def test_more_than_the_script_is_done_only_for_what_was_promised() -> None:
    more = {
        name
        for case in CASES
        if case["now"].get("server", {}).keys() - case["original"].get("server", {}).keys()
        for name in case["why"]
        if TABLE["differences"][name].get("more")
    }
    # Both stand in the script's own documentation.
    assert more == {"create_flag", "update_session"}


def test_nothing_is_deleted_or_changed_where_the_script_did_not() -> None:
    for case in CASES:
        for change in ("deleted", "updated"):
            if change in case["now"].get("server", {}):
                assert change in case["original"]["server"], case


def test_each_difference_has_its_reason_and_each_reason_a_difference() -> None:
    for case in CASES:
        before, now = (Did(**{"prints": [], "says": [], **case[of]}) for of in ("original", "now"))
        differs = (before.exit, before.prints, before.server) != (now.exit, now.prints, now.server)
        assert not differs or case["why"], case
    named = {name for case in CASES for name in case.get("why", ())}
    assert named == TABLE["differences"].keys()


def test_the_table_is_large_enough_to_mean_something() -> None:
    assert len(CASES) == len({(name_of(case), str(case)) for case in CASES}) >= 180
    assert any(len(case["original"].get("prints", [])) > 3 for case in CASES)
