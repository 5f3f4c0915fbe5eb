"""Tokens, sessions and requests as printed documents, under the API's names, in four formats.
Secrets come out only where a caller passes them in as text.
"""

from __future__ import annotations

from kaltura_app_token.command.output.table import CsvWriter, print_csv, table, terminal_width
from kaltura_app_token.command.output.text import iso_time, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

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


def _number(value: int | None) -> int | None:
    """A plain number, also of what has a name: CSV would print that."""
    return None if value is None else int(value)


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
        "sessionTypeName": _name("sessionType", session.session_type),
    }


_TIMES = {"expiry": "expiresAt", "createdAt": "createdAtTime", "updatedAt": "updatedAtTime"}


def in_full(fields: Fields) -> Fields:
    """The fields of a token, and after them what people read: its times once more as ISO 8601, and
    the names of its numbers.
    """
    times = {
        name: iso_time(value) if isinstance(value := fields[field], int) else None
        for field, name in _TIMES.items()
    }
    return fields | times | {f"{field}Name": _name(field, fields[field]) for field in _NAMES}


def _name(field: str, value: object) -> str | None:
    return _NAMES[field].get(value) if isinstance(value, int) else None


def to_json(value: object, *, indent: int | None = 2) -> str:
    """JSON in ASCII: valid in every encoding, and without anything a terminal would obey."""
    import json

    return json.dumps(value, indent=indent)


def print_tokens(tokens: Iterable[Fields], output_format: str) -> None:
    """Prints a list of tokens in one of the formats table, csv, json and jsonl."""
    if output_format == "table":
        for line in _token_table(list(tokens), terminal_width()):
            print(line)
    else:
        print_documents(map(in_full, tokens), output_format)


def print_documents(documents: Iterable[Fields], output_format: str) -> None:
    """Prints a list in one of the formats csv, json and jsonl."""
    if output_format == "json":
        print(to_json(list(documents)))
    elif output_format == "jsonl":
        for document in documents:
            print(to_json(document, indent=None))
    else:
        print_csv(documents)


def print_token(fields: Fields, output_format: str, session: Fields | None = None) -> None:
    """Prints one token, and the session that was started from it."""
    if output_format in ("json", "jsonl"):
        document = in_full(fields)
        if session is not None:
            document["session"] = session
        print(to_json(document, indent=2 if output_format == "json" else None))
    elif output_format == "csv":
        print_csv([in_full(fields if session is None else fields | {"ks": session["ks"]})])
    else:
        for line in _token_lines(fields):
            print(line)
        if session is not None:
            print(f"session KS: {session['ks']}")
            print(f"session expiry: {_readable('expiry', session['expiry'])}")


def _token_lines(fields: Fields) -> Iterator[str]:
    for name, value in fields.items():
        text = _readable(name, value)
        if text is not None:
            yield f"{name}: {printable(text)}"


class Report:
    """What came of each of several things, printed as it comes; as JSON at the end, which is the
    end of a command that is cut short, too.

    A row is printed as a table's by `lines`; where it has none it is said elsewhere.
    """

    def __init__(self, output_format: str, lines: Callable[[Fields], Iterable[str]]) -> None:
        self._format = output_format
        self._lines = lines
        self._rows: list[Fields] = []
        self._csv: CsvWriter | None = None

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        if self._format == "json":
            print(to_json(self._rows))

    def add(self, row: Fields) -> None:
        """Has a row printed."""
        self._rows.append(row)
        if self._format == "jsonl":
            print(to_json(row, indent=None), flush=True)
        elif self._format == "csv":
            self._csv = self._csv or CsvWriter()
            self._csv.write(row)
        elif self._format == "table":
            for line in self._lines(row):
                print(printable(line), flush=True)


class TokenReport(Report):
    """A report of tokens, which are paragraphs where it is no document."""

    def __init__(self, output_format: str) -> None:
        super().__init__(output_format, self._paragraph)

    def add(self, row: Fields) -> None:
        """Has a token printed."""
        super().add(row if self._format == "table" else in_full(row))

    def _paragraph(self, fields: Fields) -> Iterator[str]:
        if len(self._rows) > 1:
            yield ""
        yield from _token_lines(fields)


def print_requests(
    client: Client,
    requests: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    output_format: str,
) -> None:
    """Prints requests, an action and its parameters each, that would be sent with a session, which
    is masked.
    """
    documents: list[Fields] = []
    for action, parameters in requests:
        service, verb = action.split(".")
        url = f"{client.service_url}/service/{service}/action/{verb}"
        fields = dict([*parameters, ("ks", MASK)])
        documents.append({"request": action, "url": url, "parameters": fields})
        if output_format == "table":
            print(f"{action}: POST {printable(url)}")
            for name, value in fields.items():
                print(f"  {name}={printable(value)}")
    if output_format == "csv":
        several = len(requests) > 1
        rows: list[Fields] = [
            {"name": name, "value": value, **({"request": number} if several else {})}
            for number, (_, parameters) in enumerate(requests, 1)
            for name, value in [*parameters, ("ks", MASK)]
        ]
        print_csv(rows)
    elif output_format == "json" and len(documents) == 1:
        print(to_json(documents[0]))
    elif output_format != "table":
        print_documents(documents, output_format)


def print_request(
    client: Client, action: str, parameters: Sequence[tuple[str, str]], output_format: str
) -> None:
    """Prints one request, as `print_requests` does."""
    print_requests(client, [(action, parameters)], output_format)


_NAMES = {
    "status": {1: "DISABLED", 2: "ACTIVE", 3: "DELETED"},
    "sessionType": {0: "USER", 2: "ADMIN"},
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
        return _name(name, value) or str(value)
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
