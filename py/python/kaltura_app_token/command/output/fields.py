"""Tokens, sessions and requests as printed documents, under the API's names, in four formats.
Secrets come out only where a caller passes them in as text.
"""

from __future__ import annotations

from kaltura_app_token.command.output.table import print_csv, table, terminal_width
from kaltura_app_token.command.output.text import iso_time, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kaltura_app_token._native import Client
    from kaltura_app_token.model import AppToken, Session

    Fields = dict[str, object]


MASK = "****"


def token_fields(token: AppToken, *, show_secrets: bool) -> Fields:
    """A token's fields under the API's names, its value masked unless asked for."""
    value = token.token.reveal() if show_secrets and token.token is not None else MASK
    return {
        "id": token.id,
        "token": value,
        "partnerId": token.partner_id,
        "status": _number(token.status),
        "sessionType": _number(token.session_type),
        "sessionDuration": token.session_duration,
        "sessionPrivileges": token.session_privileges,
        "sessionUserId": token.session_user_id,
        "hashType": token.hash_type,
        "description": token.description,
        "expiry": token.expiry,
        "createdAt": token.created_at,
        "updatedAt": token.updated_at,
    }


def session_fields(session: Session) -> Fields:
    """A session's fields, its KS in the clear: it is what was asked for."""
    return {
        "ks": session.ks.reveal(),
        "sessionType": _number(session.session_type),
        "userId": session.user_id,
        "expiry": session.expiry,
        "expiresAt": iso_time(session.expiry),
        "privileges": session.privileges,
        "droppedPrivileges": session.dropped_privileges,
    }


def _number(value: int | None) -> int | None:
    """The number of a member of an enumeration, which prints as its name."""
    return None if value is None else int(value)


_TIMES = {"expiry": "expiresAt", "createdAt": "createdAtTime", "updatedAt": "updatedAtTime"}


def with_times(fields: Fields) -> Fields:
    """The fields of a token, and its times once more as ISO 8601."""
    times = {
        name: iso_time(value) if isinstance(value := fields[field], int) else None
        for field, name in _TIMES.items()
    }
    return fields | times


def to_json(value: object, *, indent: int | None = 2) -> str:
    """JSON in ASCII: valid in every encoding, and without anything a terminal would obey."""
    import json

    return json.dumps(value, indent=indent)


def print_tokens(tokens: Iterable[Fields], output_format: str) -> None:
    """Prints a list of tokens in one of the formats table, csv, json and jsonl."""
    if output_format == "json":
        print(to_json([with_times(fields) for fields in tokens]))
    elif output_format == "jsonl":
        for fields in tokens:
            print(to_json(with_times(fields), indent=None))
    elif output_format == "csv":
        print_csv(tokens)
    else:
        for line in _token_table(list(tokens), terminal_width()):
            print(line)


def print_token(fields: Fields, output_format: str, session: Fields | None = None) -> None:
    """Prints one token, and the session that was started from it."""
    if output_format in ("json", "jsonl"):
        document = with_times(fields)
        if session is not None:
            document["session"] = session
        print(to_json(document, indent=2 if output_format == "json" else None))
    elif output_format == "csv":
        print_csv([fields if session is None else fields | {"ks": session["ks"]}])
    else:
        for name, value in fields.items():
            text = _readable(name, value)
            if text is not None:
                print(f"{name}: {printable(text)}")
        if session is not None:
            print(f"session KS: {session['ks']}")
            print(f"session expiry: {_readable('expiry', session['expiry'])}")


def print_request(
    client: Client, action: str, parameters: Sequence[tuple[str, str]], output_format: str
) -> None:
    """Prints a request that would be sent with a session, which is masked."""
    service, verb = action.split(".")
    url = f"{client.service_url}/service/{service}/action/{verb}"
    fields = [*parameters, ("ks", MASK)]
    if output_format in ("json", "jsonl"):
        document = {"request": action, "url": url, "parameters": dict(fields)}
        print(to_json(document, indent=2 if output_format == "json" else None))
    elif output_format == "csv":
        print_csv({"name": name, "value": value} for name, value in fields)
    else:
        print(f"{action}: POST {printable(url)}")
        for name, value in fields:
            print(f"  {name}={printable(value)}")


_NAMES = {
    "sessionType": {0: "USER", 2: "ADMIN"},
    "status": {1: "DISABLED", 2: "ACTIVE", 3: "DELETED"},
}
_UNSET = {
    "sessionType": "unset (whoever exchanges the token chooses, ADMIN included)",
    "expiry": "never",
}


def _readable(name: str, value: object) -> str | None:
    """A field for people; None where there is nothing to say."""
    if value is None:
        return _UNSET.get(name)
    if name in _NAMES and isinstance(value, int):
        return _NAMES[name].get(value, str(value))
    if name in _TIMES and isinstance(value, int):
        if value == 0:
            # The guide's and the reference server's meaning of 0 differ.
            return "0 (never on some servers, expired on others)"
        time = iso_time(value)
        return f"{value} ({time})" if time else str(value)
    return str(value)


_COLUMNS = {
    "ID": "id",
    "TOKEN": "token",
    "STATUS": "status",
    "TYPE": "sessionType",
    "HASH": "hashType",
    "EXPIRES": "expiry",
    "DESCRIPTION": "description",
    "PRIVILEGES": "sessionPrivileges",
    "USER": "sessionUserId",
}


def _token_table(tokens: list[Fields], width: int | None) -> Iterator[str]:
    if not tokens:
        return iter(())
    # A column that says the same of every token only takes room from the others.
    silent = {"token": (MASK,), "status": (2,), "sessionUserId": (None, "")}
    columns = {
        heading: field
        for heading, field in _COLUMNS.items()
        if any(token[field] not in silent.get(field, ()) for token in tokens)
    }
    rows = [[_short(field, token[field]) for field in columns.values()] for token in tokens]
    return table(list(columns), rows, width, whole=2 if "TOKEN" in columns else 1)


def _short(name: str, value: object) -> str:
    if name == "expiry":
        date = iso_time(value) if isinstance(value, int) else None
        return "never" if value is None else "0 (?)" if value == 0 else (date or str(value))[:10]
    if name == "sessionType" and value is None:
        return "any"
    return _readable(name, value) or ""
