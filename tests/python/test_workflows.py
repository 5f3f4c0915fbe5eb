"""Rotation, finding or creating, auditing and revoking from Python."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import threading
from pathlib import Path

import kaltura_app_token as kat
import pytest
from kaltura_app_token import Sink, aio
from kaltura_app_token.sandbox import Sandbox
from test_async_client import client_of
from test_client import in_a_process, order


def test_a_rotation_hands_over_a_working_token_and_keeps_the_old_one(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    client = sandbox.client()
    old = client.add_token(
        description="export", session_privileges="sview:*,list:*", hash_type="SHA1"
    )
    steps: list[tuple[str, str]] = []
    (rotated,) = kat.rotate(
        client,
        [old.id],
        journal=tmp_path / "journal",
        sink=Sink.file(tmp_path / "token.json"),
        hash_type="SHA256",
        progress=lambda old_id, step: steps.append((old_id, step)),
    )
    assert (rotated.error, rotated.old_deleted, rotated.state) == (None, False, "done")
    assert rotated.finish[:2] == ("kaltura-app-token", "delete")
    assert (old.id, "proved") in steps
    handed = json.loads((tmp_path / "token.json").read_text())
    assert handed["id"] == rotated.new_id
    for name in ("token.json", "journal"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert handed["token"] not in (tmp_path / "journal").read_text()

    new = client.get_token(handed["id"])
    assert (new.description, new.session_privileges) == ("export", "sview:*,list:*")
    assert new.hash_type == "SHA256"
    provider = kat.SessionProvider(client, kat.TokenSource.file(tmp_path / "token.json"))
    assert provider.get()
    assert client.get_token(old.id)


def test_many_rotations_go_to_a_command_and_delete_the_old_ones(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    client = sandbox.client()
    old = [client.add_token(description=str(n)).id for n in range(6)]
    keeper = tmp_path / "keep.sh"
    keeper.write_text(f"#!/bin/sh\ncat >> {tmp_path}/kept\n")
    keeper.chmod(0o700)
    rotated = kat.rotate(
        client,
        old,
        journal=tmp_path / "journal",
        sink=Sink.command(keeper),
        delete_now=True,
    )
    assert [one.old_id for one in rotated] == old
    assert all(one.old_deleted and one.error is None for one in rotated)
    kept = [json.loads(line) for line in (tmp_path / "kept").read_text().splitlines()]
    assert {one["id"] for one in kept} == {token.id for token in client.tokens()}
    assert {one["replaces"] for one in kept} == set(old)


def test_a_sink_that_fails_leaves_a_rotation_to_be_resumed_or_undone(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    client = sandbox.client()
    old = client.add_token(description="a")
    journal = tmp_path / "journal"
    (failed,) = kat.rotate(client, [old.id], journal=journal, sink=Sink.command("false"))
    assert failed.error is not None
    assert failed.state == "delivering"
    (resumed,) = kat.resume_rotations(client, journal=journal, sink=Sink.file(tmp_path / "t.json"))
    assert (resumed.error, resumed.new_id) == (None, failed.new_id)

    other = client.add_token(description="b")
    (failed,) = kat.rotate(client, [other.id], journal=journal, sink=Sink.command("false"))
    (undone,) = kat.resume_rotations(client, journal=journal, sink=Sink.stdout(), undo=True)
    assert "may be in use" in str(undone.error)
    client.delete_token(str(failed.new_id))
    (undone,) = kat.resume_rotations(client, journal=journal, sink=Sink.stdout(), undo=True)
    assert undone.state == "undone"
    with pytest.raises(kat.TokenNotFound):
        client.get_token(str(failed.new_id))
    assert client.get_token(other.id)


class TestCallableSink:
    def test_it_takes_the_whole_token_on_a_thread_of_its_own(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        client = sandbox.client()
        old = client.add_token(description="export", session_privileges="sview:*")
        taken: list[kat.AppToken] = []
        threads: list[threading.Thread] = []

        def keep(token: kat.AppToken) -> str:
            threads.append(threading.current_thread())
            assert client.get_token(token.id), "the library can be called from it"
            taken.append(token)
            return "ignored"

        (rotated,) = kat.rotate(
            client,
            [old.id],
            journal=tmp_path / "journal",
            sink=Sink.callable(keep),
            delete_now=True,
        )
        assert (rotated.error, rotated.old_deleted) == (None, True)
        (new,) = taken
        assert new.id == rotated.new_id
        assert (new.description, new.session_privileges) == ("export", "sview:*")
        assert new.token is not None
        assert client.start_session(new.id, new.token).ks
        assert threads != [threading.main_thread()]

    def test_what_it_raises_is_a_hand_over_that_failed_and_resuming_hands_over_again(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        client = sandbox.client()
        old = client.add_token(description="a")
        journal = tmp_path / "journal"
        tried: list[str] = []

        def fails(token: kat.AppToken) -> None:
            assert token.token is not None
            tried.append(token.token.reveal())
            raise LookupError(f"the vault refused {token.token.reveal()}")

        (failed,) = kat.rotate(
            client, [old.id], journal=journal, sink=Sink.callable(fails), delete_now=True
        )
        assert isinstance(failed.error, kat.LocalError)
        assert "LookupError" in str(failed.error)
        assert tried[0] not in repr(vars(failed.error))
        assert (failed.state, failed.old_deleted) == ("delivering", False)
        assert client.get_token(old.id), "the old token is still there"
        taken: list[kat.AppToken] = []
        (resumed,) = kat.resume_rotations(client, journal=journal, sink=Sink.callable(taken.append))
        assert (resumed.error, resumed.old_deleted) == (None, True)
        assert [token.id for token in taken] == [failed.new_id]
        assert taken[0].token == kat.Secret(tried[0])

    def test_a_process_that_is_killed_in_it_hands_over_again_when_it_resumes(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        client = sandbox.client()
        old = client.add_token(description="a")
        program = f"""
import os, signal
import kaltura_app_token as kat
def killed(token):
    print(token.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
kat.rotate(kat.Client.from_env(), [{old.id!r}], journal={str(tmp_path / "journal")!r},
           sink=kat.Sink.callable(killed), delete_now=True)
"""
        done = in_a_process(sandbox, program)
        assert done.returncode == -signal.SIGKILL
        assert client.get_token(old.id), "the old token is still there"
        taken: list[kat.AppToken] = []
        (resumed,) = kat.resume_rotations(
            client, journal=tmp_path / "journal", sink=Sink.callable(taken.append)
        )
        assert (resumed.error, resumed.old_deleted) == (None, True)
        assert [token.id for token in taken] == [done.stdout.strip()]
        assert {token.id for token in client.tokens()} == {taken[0].id}

    def test_it_is_there_for_asyncio(self, sandbox: Sandbox, tmp_path: Path) -> None:
        old = sandbox.client().add_token().id
        taken: list[kat.AppToken] = []

        async def main() -> None:
            async with client_of(sandbox) as client:
                (rotated,) = await aio.rotate(
                    client, [old], journal=tmp_path / "j", sink=Sink.callable(taken.append)
                )
                assert rotated.error is None

        asyncio.run(main())
        assert len(taken) == 1


def test_what_cannot_be_rotated_is_said_before_anything_is_begun(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    client = sandbox.client()
    sink = Sink.file(tmp_path / "t.json")
    token = client.add_token().id
    with pytest.raises(kat.ConfigError):
        kat.rotate(client, [], journal=tmp_path / "j", sink=sink)
    with pytest.raises(kat.ConfigError, match="twice"):
        kat.rotate(client, [token, token], journal=tmp_path / "j", sink=sink)
    with pytest.raises(ValueError, match="either"):
        kat.rotate(
            client, [token], journal=tmp_path / "j", sink=sink, delete_now=True, delete_after=60
        )
    (unknown,) = kat.rotate(client, ["0_nosuchid"], journal=tmp_path / "j", sink=sink)
    assert isinstance(unknown.error, kat.TokenNotFound)
    assert len(list(client.tokens())) == 1


def test_ensure_finds_what_it_made(sandbox: Sandbox) -> None:
    client = sandbox.client()
    first = kat.ensure(client, description="mine", session_privileges="a:1,b:2")
    again = kat.ensure(client, description="mine", session_privileges="b:2,a:1")
    assert (first.created, again.created, again.token.id) == (True, False, first.token.id)
    client.add_token(description="mine", session_privileges="a:1,b:2")
    assert len(kat.ensure(client, description="mine", session_privileges="a:1,b:2").duplicates) == 1
    with pytest.raises(kat.ConfigError, match="description"):
        kat.ensure(client, description="")


def test_an_audit_judges_without_fetching_a_value(sandbox: Sandbox) -> None:
    client = sandbox.client()
    client.add_token(session_type=None, hash_type="MD5", session_privileges="*")
    audit = kat.audit(client)
    rules = {finding.rule: finding for finding in audit.findings}
    assert audit.tokens == 1
    assert "unset-type" in rules
    assert rules["unset-type"].severity == "high"
    assert rules["unset-type"].fix[0] == "kaltura-app-token"


def test_a_revocation_is_planned_and_then_carried_out(sandbox: Sandbox) -> None:
    client = sandbox.client()
    mine = [client.add_token(description="mine").id for _ in range(3)]
    other = client.add_token(description="other").id
    plan = kat.plan_revocation(client, description="mine")
    assert {token.id for token in plan.tokens} == set(mine)
    assert len(list(client.tokens())) == 4, "nothing is deleted yet"
    by_ids = kat.plan_revocation(client, ids=[mine[0], "0_nosuchid"])
    assert by_ids.missing == ("0_nosuchid",)
    with pytest.raises(kat.ConfigError):
        kat.plan_revocation(client)
    order(sandbox, action="appToken.delete", fault="status", status=403, skip=2)
    outcome = kat.revoke(client, mine)
    assert sorted(type(error).__name__ for error in outcome.values()) == [
        "HttpError",
        "NoneType",
        "NoneType",
    ]
    assert other in {token.id for token in client.tokens()}


def test_all_of_it_is_there_for_asyncio(sandbox: Sandbox, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(sandbox) as client:
            made = await aio.ensure(client, description="mine")
            (rotated,) = await aio.rotate(
                client,
                [made.token.id],
                journal=tmp_path / "journal",
                sink=Sink.file(tmp_path / "token.json"),
            )
            assert rotated.error is None
            assert (await aio.audit(client)).tokens == 2
            plan = await aio.plan_revocation(client, description="mine")
            await aio.revoke(client, [token.id for token in plan.tokens])
            assert (
                await aio.resume_rotations(
                    client, journal=tmp_path / "journal", sink=Sink.stdout(), undo=True
                )
                is not None
            )
            assert [token async for token in client.tokens()] == []

    asyncio.run(main())
    assert os.listdir(tmp_path)


def test_ctrl_c_in_a_progress_function_stops_the_rotation(sandbox: Sandbox, tmp_path: Path) -> None:
    old = sandbox.client().add_token(description="a")
    program = f"""
import kaltura_app_token as kat
def interrupted(old_id, step):
    if step == "proved":
        raise KeyboardInterrupt
try:
    kat.rotate(kat.Client.from_env(), [{old.id!r}], journal="journal",
               sink=kat.Sink.command("sleep", "1"), delete_now=True, progress=interrupted)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = in_a_process(sandbox, f"import os; os.chdir({str(tmp_path)!r})" + program)
    assert (done.stdout.strip(), done.stderr) == ("interrupted", "")
    assert sandbox.client().get_token(old.id), "the old token is still there"
