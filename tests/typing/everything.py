"""Every public name, method and option of the package, each used as it is meant to be.

Nothing here is run: type checkers judge it. `tests/python/test_typing.py` sees to it that nothing
is left out, and looks for the members of a class in the function `use_` with that class's name, for
functions in `use_functions`, for those of `kaltura_app_token.aio` in `use_aio_functions`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import kaltura_app_token as kat
from kaltura_app_token import aio, pytest_plugin
from kaltura_app_token.sandbox import Sandbox
from typing_extensions import assert_type

SOON = datetime.now(timezone.utc) + timedelta(hours=1)
DAY = timedelta(days=1)


def use_Client(settings: kat.Settings, profile: kat.ResponseProfile) -> None:
    client = kat.Client(
        1,
        admin_secret=kat.Secret("s"),
        ks="k",
        service_url="https://www.kaltura.com/api_v3",
        user_id="u",
        admin_session_duration=DAY,
        admin_privileges="p",
        admin_session="signed-v1",
        allow_http=True,
        user_agent="mine/1",
        connect_timeout=1.5,
        attempt_timeout=DAY,
        total_timeout=60,
        idle_timeout=None,
        max_retries=2,
        retry_backoff=0.5,
        max_response_bytes=1 << 20,
        proxy="http://127.0.0.1:1",
        ca_file=Path("ca.pem"),
        ca_pem=b"",
        client_certificate=("certificate", kat.Secret("key")),
        on_event=lambda event: print(event.name),
        network_environment=False,
    )
    assert_type(kat.Client.from_settings(settings, max_retries=0), kat.Client)
    assert_type(kat.Client.from_env(admin_session="started"), kat.Client)
    assert_type(kat.Client.from_config(path=Path("config.json"), proxy=None), kat.Client)
    with client as same:
        assert_type(same, kat.Client)
    assert_type(client.service_url, str)
    assert_type(client.partner_id, int | None)
    assert_type(client.clock_difference, int | None)
    added = client.add_token(
        description="d",
        hash_type="SHA512",
        session_type="ADMIN",
        session_duration=DAY,
        session_privileges="p",
        session_user_id="u",
        expiry=SOON,
        response_profile=profile,
    )
    assert_type(added, kat.AppToken)
    assert_type(client.get_token(id="1", response_profile=profile), kat.AppToken)
    page = client.list_tokens(
        page_size=10,
        page_index=2,
        with_secrets=True,
        response_profile=profile,
        id_equal="1",
        id_in=["1"],
        status_equal=2,
        status_in=[2, 3],
        created_at_greater_than_or_equal=SOON,
        created_at_less_than_or_equal=1,
        updated_at_greater_than_or_equal=SOON,
        updated_at_less_than_or_equal=1,
        session_user_id_equal="u",
        hash_type_equal="MD5",
        session_type_equal="USER",
        order_by="-createdAt",
    )
    assert_type(page, kat.TokenPage)
    tokens = client.tokens(
        with_secrets=True,
        response_profile=profile,
        id_equal="1",
        id_in=("1",),
        status_equal=2,
        status_in=(2,),
        created_at_greater_than_or_equal=1,
        created_at_less_than_or_equal=SOON,
        updated_at_greater_than_or_equal=1,
        updated_at_less_than_or_equal=SOON,
        session_user_id_equal="u",
        hash_type_equal="SHA1",
        session_type_equal=2,
    )
    assert_type(tokens, kat.Tokens)
    updated = client.update_token(
        id="1",
        description="d",
        hash_type="SHA256",
        session_type=0,
        session_duration=60,
        session_privileges="p",
        session_user_id="u",
        expiry=1,
        clear=["description", "expiry"],
        response_profile=profile,
    )
    assert_type(updated, kat.AppToken)
    previewed = client.preview_add(
        description="d",
        hash_type="SHA256",
        session_type="USER",
        session_duration=DAY,
        session_privileges="p",
        session_user_id="u",
        expiry=SOON,
    )
    assert_type(previewed, list[tuple[str, str]])
    previewed = client.preview_update(
        id="1",
        description="d",
        hash_type="SHA256",
        session_type="USER",
        session_duration=DAY,
        session_privileges="p",
        session_user_id="u",
        expiry=SOON,
        clear=["sessionUserId"],
    )
    client.delete_token(id="1")
    session = client.start_session(
        id="1",
        token=kat.Secret("t"),
        hash_type="SHA256",
        user_id="u",
        session_type="USER",
        duration=DAY,
        privileges="p",
    )
    assert_type(session, kat.Session)
    assert_type(client.start_widget_session(), kat.Session)
    assert_type(client.start_admin_session(), kat.Session)
    assert_type(client.sign_admin_session(version=1), kat.Session)
    assert_type(client.session_info(ks=session.ks), kat.SessionInfo)
    client.end_session(ks=session.ks)
    client.close()


async def use_AsyncClient(settings: kat.Settings, profile: kat.ResponseProfile) -> None:
    client = kat.AsyncClient(
        1,
        admin_secret="s",
        ks=kat.Secret("k"),
        service_url="https://www.kaltura.com/api_v3",
        user_id="u",
        admin_session_duration=60,
        admin_privileges="p",
        admin_session="signed",
        allow_http=False,
        user_agent=None,
        connect_timeout=DAY,
        attempt_timeout=1,
        total_timeout=DAY,
        idle_timeout=1.5,
        max_retries=None,
        retry_backoff=DAY,
        max_response_bytes=None,
        proxy=None,
        ca_file="ca.pem",
        ca_pem="",
        client_certificate=(b"certificate", b"key"),
        on_event=print,
        network_environment=True,
    )
    assert_type(kat.AsyncClient.from_settings(settings, max_retries=0), kat.AsyncClient)
    assert_type(kat.AsyncClient.from_env(admin_session="started"), kat.AsyncClient)
    assert_type(kat.AsyncClient.from_config(path="config.json", proxy=None), kat.AsyncClient)
    async with client as same:
        assert_type(same, kat.AsyncClient)
    assert_type(client.service_url, str)
    assert_type(client.partner_id, int | None)
    assert_type(client.clock_difference, int | None)
    added = await client.add_token(
        description="d",
        hash_type=None,
        session_type=None,
        session_duration=60,
        session_privileges="p",
        session_user_id="u",
        expiry=1,
        response_profile=profile,
    )
    assert_type(added, kat.AppToken)
    assert_type(await client.get_token(id="1", response_profile=profile), kat.AppToken)
    page = await client.list_tokens(
        page_size=10,
        page_index=2,
        with_secrets=True,
        response_profile=profile,
        id_equal="1",
        id_in=["1"],
        status_equal=2,
        status_in=[2, 3],
        created_at_greater_than_or_equal=SOON,
        created_at_less_than_or_equal=1,
        updated_at_greater_than_or_equal=SOON,
        updated_at_less_than_or_equal=1,
        session_user_id_equal="u",
        hash_type_equal="MD5",
        session_type_equal="USER",
        order_by="+updatedAt",
    )
    assert_type(page, kat.TokenPage)
    tokens = client.tokens(
        with_secrets=True,
        response_profile=profile,
        id_equal="1",
        id_in=("1",),
        status_equal=2,
        status_in=(2,),
        created_at_greater_than_or_equal=1,
        created_at_less_than_or_equal=SOON,
        updated_at_greater_than_or_equal=1,
        updated_at_less_than_or_equal=SOON,
        session_user_id_equal="u",
        hash_type_equal="SHA1",
        session_type_equal=2,
    )
    assert_type(tokens, AsyncIterator[kat.AppToken])
    assert_type([token.id async for token in tokens], list[str])
    updated = await client.update_token(
        id="1",
        description="d",
        hash_type="SHA256",
        session_type=0,
        session_duration=60,
        session_privileges="p",
        session_user_id="u",
        expiry=1,
        clear=["sessionType", "sessionDuration", "sessionPrivileges"],
        response_profile=profile,
    )
    assert_type(updated, kat.AppToken)
    previewed = client.preview_add(
        description="d",
        hash_type="SHA256",
        session_type="USER",
        session_duration=DAY,
        session_privileges="p",
        session_user_id="u",
        expiry=SOON,
    )
    assert_type(previewed, list[tuple[str, str]])
    previewed = client.preview_update(
        id="1",
        description="d",
        hash_type="SHA256",
        session_type="USER",
        session_duration=DAY,
        session_privileges="p",
        session_user_id="u",
        expiry=SOON,
        clear=["sessionUserId"],
    )
    await client.delete_token(id="1")
    session = await client.start_session(
        id="1",
        token="t",
        hash_type="SHA256",
        user_id="u",
        session_type="USER",
        duration=60,
        privileges="p",
    )
    assert_type(session, kat.Session)
    assert_type(await client.start_widget_session(), kat.Session)
    assert_type(await client.start_admin_session(), kat.Session)
    assert_type(client.sign_admin_session(version=2), kat.Session)
    assert_type(await client.session_info(ks=session.ks), kat.SessionInfo)
    await client.end_session(ks="k")
    await client.aclose()


def use_SessionProvider(client: kat.Client, source: kat.TokenSource) -> None:
    provider = kat.SessionProvider(
        client,
        source,
        hash_type="auto",
        capacity=10,
        renew_when_left=0.5,
        renewal_wait=0.1,
    )
    session = provider.get(
        user_id="u",
        session_type="USER",
        privileges="p",
        duration=DAY,
        min_remaining=0.5,
    )
    assert_type(session, kat.Session)
    assert_type(provider.reject(session, reason="LOGOUT"), kat.Session)
    assert_type(provider.stats(), kat.SessionProviderStats)


async def use_AsyncSessionProvider(client: kat.AsyncClient, source: kat.TokenSource) -> None:
    provider = kat.AsyncSessionProvider(
        client,
        source,
        hash_type="SHA1",
        capacity=10,
        renew_when_left=0.25,
        renewal_wait=DAY,
    )
    session = await provider.get(
        user_id="u",
        session_type=2,
        privileges="p",
        duration=60,
        min_remaining=DAY,
    )
    assert_type(session, kat.Session)
    assert_type(await provider.reject(session, reason="EXPIRED"), kat.Session)
    assert_type(provider.stats(), kat.SessionProviderStats)


def use_SessionProviderStats(stats: kat.SessionProviderStats) -> None:
    counts = [
        stats.handed_out,
        stats.minted,
        stats.renewed,
        stats.failed,
        stats.refused,
        stats.waiting,
        stats.backing_off,
    ]
    assert_type(counts, list[int])
    assert_type(stats.cached, int | None)


def use_Event(event: kat.Event) -> None:
    if event.name == "Retry":
        print(event.text, event)
    assert_type(event.request, str | None)
    assert_type(event.attempts, int | None)
    assert_type(event.error, kat.KalturaError | None)
    assert_type(event.wait, float | None)
    assert_type(event.privileges, tuple[str, ...])
    assert_type(event.token_id, str | None)
    assert_type(event.lasted, float | None)


def use_TokenSource() -> list[kat.TokenSource]:
    return [
        kat.TokenSource.value(id="1", token="t"),
        kat.TokenSource.environment(),
        kat.TokenSource.variable(id="1", name="NAME"),
        kat.TokenSource.file(path=Path("token.json")),
        kat.TokenSource.value_file(id="1", path="token"),
        kat.TokenSource.callable(function=lambda: ("1", kat.Secret("t"))),
        kat.TokenSource.callable(lambda: ("1", "t", "SHA512")),
    ]


def use_Secret(secret: kat.Secret) -> None:
    assert_type(secret.reveal(), str)
    assert_type(kat.Secret("x") == secret, bool)
    if secret:
        print(secret)


def use_AppToken(token: kat.AppToken) -> None:
    assert_type(token.id, str)
    assert_type(token.token, kat.Secret | None)
    numbers = [
        token.partner_id,
        token.session_duration,
        token.expiry,
        token.created_at,
        token.updated_at,
    ]
    assert_type(numbers, list[int | None])
    texts = [
        token.session_privileges,
        token.session_user_id,
        token.hash_type,
        token.description,
    ]
    assert_type(texts, list[str | None])
    assert_type(token.status, kat.TokenStatus | None)
    assert_type(token.session_type, kat.SessionType | None)
    assert_type(token.expires_at, datetime | None)


def use_TokenStatus() -> list[kat.TokenStatus]:
    return [
        kat.TokenStatus.DISABLED,
        kat.TokenStatus.ACTIVE,
        kat.TokenStatus.DELETED,
        kat.TokenStatus(7),
    ]


def use_SessionType() -> list[kat.SessionType]:
    return [kat.SessionType.USER, kat.SessionType.ADMIN, kat.SessionType(7)]


def use_TokenPage(page: kat.TokenPage) -> None:
    assert_type(page.tokens, tuple[kat.AppToken, ...])
    assert_type(page.total_count, int)


def use_Tokens(tokens: kat.Tokens) -> None:
    iterator: Iterator[kat.AppToken] = iter(tokens)
    assert_type(next(iterator), kat.AppToken)


def use_Session(session: kat.Session) -> None:
    assert_type(session.ks, kat.Secret)
    assert_type(session.session_type, kat.SessionType | None)
    numbers = [session.partner_id, session.expiry]
    assert_type(numbers, list[int | None])
    texts = [session.user_id, session.privileges]
    assert_type(texts, list[str | None])
    assert_type(session.expires_at, datetime | None)
    assert_type(session.dropped_privileges, tuple[str, ...])


def use_SessionInfo(info: kat.SessionInfo) -> None:
    assert_type(info.session_type, kat.SessionType | None)
    assert_type([info.partner_id, info.expiry], list[int | None])
    assert_type([info.user_id, info.privileges], list[str | None])
    assert_type(info.expires_at, datetime | None)


def use_KsInfo(info: kat.KsInfo) -> None:
    assert_type(info.version, int)
    assert_type(info.verified, bool)
    assert_type(info.session_type, kat.SessionType | None)
    numbers = [info.partner_id, info.expiry, info.master_partner_id]
    assert_type(numbers, list[int | None])
    texts = [info.user_id, info.privileges, info.additional_data, info.random]
    assert_type(texts, list[str | None])
    assert_type(info.expires_at, datetime | None)


def use_PrivilegeLint(lint: kat.PrivilegeLint) -> None:
    assert_type([lint.rule, lint.privilege, lint.message], list[str])


def use_Settings() -> None:
    typed = kat.Settings(
        partner_id=1,
        admin_secret="s",
        ks=kat.Secret("k"),
        service_url="https://www.kaltura.com/api_v3",
        user_id="u",
        admin_session_duration=DAY,
        admin_privileges="p",
        app_token_id="1",
        app_token=kat.Secret("t"),
        profile="staging",
        found=True,
    )
    sources = [typed, kat.Settings.from_env(), kat.Settings.from_config_file(path="config.json")]
    settings = kat.Settings.resolve(sources=sources, need="exchange")
    assert_type(settings, kat.Settings)
    assert_type(settings.names_account(), bool)
    assert_type(settings.source, str)
    assert_type([settings.partner_id, settings.admin_session_duration], list[int | None])
    secrets = [settings.admin_secret, settings.ks, settings.app_token]
    assert_type(secrets, list[kat.Secret | None])
    texts = [
        settings.service_url,
        settings.service_url_source,
        settings.user_id,
        settings.admin_privileges,
        settings.app_token_id,
    ]
    assert_type(texts, list[str | None])
    assert_type(settings.warnings, tuple[str, ...])


def use_ResponseProfile() -> list[kat.ResponseProfile]:
    return [
        kat.ResponseProfile.include("id", "token"),
        kat.ResponseProfile.exclude("token"),
        kat.ResponseProfile.stored(id=1, system_name="mine"),
        kat.ResponseProfile.full(
            name="n", system_name="s", include=["id"], exclude=["description"]
        ),
    ]


def use_Sink() -> list[kat.Sink]:
    return [
        kat.Sink.stdout(),
        kat.Sink.file(path=Path("token")),
        kat.Sink.command("vault", "write"),
        kat.Sink.callable(function=lambda token: print(token.id)),
    ]


def use_Audit(found: kat.Audit) -> None:
    assert_type(found.tokens, int)
    assert_type(found.findings, tuple[kat.Finding, ...])


def use_Finding(finding: kat.Finding) -> None:
    assert_type([finding.token_id, finding.rule, finding.severity, finding.reason], list[str])
    assert_type(finding.fix, tuple[str, ...])


def use_Ensured(ensured: kat.Ensured) -> None:
    assert_type(ensured.token, kat.AppToken)
    assert_type(ensured.created, bool)
    assert_type(ensured.duplicates, tuple[str, ...])


def use_RevocationPlan(plan: kat.RevocationPlan) -> None:
    assert_type(plan.tokens, tuple[kat.AppToken, ...])
    assert_type(plan.missing, tuple[str, ...])


def use_Rotated(rotated: kat.Rotated) -> None:
    assert_type(rotated.old_id, str)
    assert_type([rotated.new_id, rotated.state], list[str | None])
    assert_type(rotated.old_deleted, bool)
    assert_type(rotated.error, kat.KalturaError | None)
    assert_type(rotated.finish, tuple[str, ...])


def use_functions(client: kat.Client, sink: kat.Sink) -> None:
    print(kat.__version__.upper())
    found = kat.audit(
        client,
        id_equal="1",
        id_in=["1"],
        status_equal=2,
        status_in=[2],
        created_at_greater_than_or_equal=1,
        created_at_less_than_or_equal=1,
        updated_at_greater_than_or_equal=1,
        updated_at_less_than_or_equal=1,
        session_user_id_equal="u",
        hash_type_equal="SHA1",
        session_type_equal="ADMIN",
    )
    assert_type(found, kat.Audit)
    ensured = kat.ensure(
        client,
        description="d",
        hash_type="SHA256",
        session_type="USER",
        session_duration=DAY,
        session_privileges="p",
        session_user_id="u",
        expiry=SOON,
    )
    assert_type(ensured, kat.Ensured)
    plan = kat.plan_revocation(client, ids=["1"], created_before=SOON, description="d", user_id="u")
    assert_type(plan, kat.RevocationPlan)
    revoked = kat.revoke(client, ids=[token.id for token in plan.tokens])
    assert_type(revoked, dict[str, kat.KalturaError | None])
    rotated = kat.rotate(
        client,
        ids=["1"],
        journal=Path("journal"),
        sink=sink,
        hash_type="SHA256",
        expiry=SOON,
        delete_now=True,
        delete_after=DAY,
        concurrency=2,
        progress=lambda token_id, step: print(token_id, step),
    )
    assert_type(rotated, list[kat.Rotated])
    rotated = kat.resume_rotations(
        client, journal="journal", sink=sink, undo=True, progress=lambda *_: None
    )
    assert_type(kat.token_hash(ks="k", token="t", hash_type="SHA1"), str)
    ks = kat.sign_ks(
        secret="s",
        partner_id=1,
        duration=DAY,
        expiry=None,
        session_type="ADMIN",
        user_id="u",
        privileges="p",
        master_partner_id=2,
        additional_data="a",
        version=1,
    )
    assert_type(ks, kat.Secret)
    assert_type(kat.open_ks(ks, "s", kat.Secret("older")), kat.KsInfo)
    assert_type(kat.describe_ks(ks=ks), kat.KsInfo)
    assert_type(kat.lint_privileges(text="p", use="start_session"), tuple[kat.PrivilegeLint, ...])
    assert_type(kat.dropped_privileges(requested="p", granted=""), tuple[str, ...])
    assert_type(kat.normalize_service_url(url="https://a", allow_http=True), str)


async def use_aio_functions(client: kat.AsyncClient, sink: kat.Sink) -> None:
    found = await aio.audit(
        client,
        id_equal="1",
        id_in=["1"],
        status_equal=2,
        status_in=[2],
        created_at_greater_than_or_equal=1,
        created_at_less_than_or_equal=1,
        updated_at_greater_than_or_equal=1,
        updated_at_less_than_or_equal=1,
        session_user_id_equal="u",
        hash_type_equal="SHA1",
        session_type_equal="ADMIN",
    )
    assert_type(found, kat.Audit)
    ensured = await aio.ensure(
        client,
        description="d",
        hash_type="SHA256",
        session_type="USER",
        session_duration=DAY,
        session_privileges="p",
        session_user_id="u",
        expiry=SOON,
    )
    assert_type(ensured, kat.Ensured)
    plan = await aio.plan_revocation(
        client, ids=["1"], created_before=SOON, description="d", user_id="u"
    )
    assert_type(plan, kat.RevocationPlan)
    revoked = await aio.revoke(client, ids=["1"])
    assert_type(revoked, dict[str, kat.KalturaError | None])
    rotated = await aio.rotate(
        client,
        ids=["1"],
        journal=Path("journal"),
        sink=sink,
        hash_type="SHA256",
        expiry=SOON,
        delete_now=True,
        delete_after=DAY,
        concurrency=2,
        progress=print,
    )
    assert_type(rotated, list[kat.Rotated])
    rotated = await aio.resume_rotations(
        client, journal="journal", sink=sink, undo=True, progress=print
    )


def use_Sandbox() -> None:
    with Sandbox(host="127.0.0.1", port=0, accounts="accounts.json", control=True) as sandbox:
        assert_type(sandbox, Sandbox)
        assert_type([sandbox.service_url, sandbox.admin_secret], list[str])
        assert_type(sandbox.partner_id, int)
        assert_type(sandbox.client(max_retries=0), kat.Client)
        sandbox.fault(
            action="appToken.add",
            fault="status",
            times=1,
            skip=1,
            probability=0.5,
            after=True,
            ms=1,
            status=503,
            retry_after=1,
            body="b",
            size=1,
            location="l",
            code="c",
            message="m",
        )
        sandbox.clear_faults()
        assert_type(sandbox.requests()[0]["status"], int)
        sandbox.clear_requests()
        sandbox.advance(seconds=DAY)
        sandbox.set_time(now=SOON)
        sandbox.reset()
        sandbox.close()


def use_pytest_plugin() -> None:
    print(pytest_plugin.kaltura_sandbox)


def use_KalturaError(error: kat.KalturaError) -> None:
    assert_type(error.message, str)
    texts = [error.hint, error.hint_name, error.cause, error.code, error.request]
    assert_type(texts, list[str | None])
    assert_type(error.api_args, dict[str, str])
    assert_type(error.http_status, int | None)
    assert_type(error.retryable, bool)
    assert_type(error.attempts, int)
    assert_type(error.candidate_ids, tuple[str, ...])


def use_errors(error: Exception) -> object:
    """Each is caught by its own name and by what it is derived from."""
    api: tuple[type[kat.ApiError], ...] = (
        kat.TokenNotFound,
        kat.InvalidTokenHash,
        kat.TokenNotActive,
        kat.TokenExpired,
        kat.NotUpdatable,
        kat.InvalidSession,
        kat.PermissionDenied,
    )
    others: tuple[type[kat.KalturaError], ...] = (
        kat.CancelledError,
        kat.ClosedError,
        kat.DecodeError,
        kat.HttpError,
        kat.OutcomeUnknown,
        kat.RotationUnproved,
        kat.TransportError,
    )
    builtin: tuple[type[ValueError], type[TimeoutError], type[OSError], type[RuntimeError]] = (
        kat.ConfigError,
        kat.RequestTimeout,
        kat.LocalError,
        kat.ForkedProcessError,
    )
    return isinstance(error, (*api, *others, *builtin))
