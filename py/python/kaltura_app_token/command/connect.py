"""Between the commands and the native client: what both commands do around a call, and the
warnings that they say on stderr. Knows no flags and prints no data.
"""

from __future__ import annotations

from typing import Any, cast

from kaltura_app_token import _native
from kaltura_app_token.command import messages
from kaltura_app_token.command.output.run import note
from kaltura_app_token.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kaltura_app_token.model import AppToken, Session


def connect(
    settings: _native.Settings, program: str, allow_http_option: str, **options: Any
) -> _native.Client:
    """As `open_client`, after the warnings about where the settings come from.

    Raises:
        ConfigError: They cannot be used.
    """
    for warning in settings.warnings:
        note(f"{program}: warning: {warning}")
    return open_client(settings, allow_http_option, **options)


def open_client(
    settings: _native.Settings, allow_http_option: str, **options: Any
) -> _native.Client:
    """The client of these settings; `options` are those of `Client.from_settings`.

    Raises:
        ConfigError: They cannot be used.
    """
    try:
        url = _native.normalize_service_url(settings.service_url or "us", allow_http=True)
        told = messages.of_calls(url, options.get("max_retries"))
        return _native.Client.from_settings(settings, **told, **options)
    except ConfigError as error:
        if error.hint_name == "HttpNotAllowed":
            error.hint = (
                f"give an https address, or {allow_http_option} for a host that has nothing else"
            )
        raise


def exchange(client: _native.Client, token: AppToken) -> Session:
    """Exchanges a token for a session, fetching its value if this copy of it lacks that.

    Raises:
        KalturaError: The server refused it.
    """
    if token.token is None:
        token = client.get_token(token.id)
    # The server takes SHA1 for a token that was created without a hash type.
    hash_type = cast("_native._HashType", token.hash_type or "SHA1")
    return client.start_session(token.id, token.token or "", hash_type=hash_type)


def lint(text: str | None, program: str, *, at_session: bool = False) -> None:
    """Says on stderr what of these privileges will not work as it reads."""
    if not text:
        return
    for found in _native.lint_privileges(text, "start_session" if at_session else "token"):
        note(f"{program}: warning: privilege {found.privilege}: {found.message}")


def warn_of_dropped(session: Session, program: str) -> None:
    """Says on stderr which privileges were asked for and not given."""
    if session.dropped_privileges:
        note(
            f"{program}: warning: the server dropped these privileges: "
            f"{', '.join(session.dropped_privileges)} (a session can be given only what its token "
            "does not fix and the server does not reserve: put them on the token)"
        )
