"""Tables for terminals and CSV for programs. Knows no token."""

from __future__ import annotations

import sys

from kaltura_app_token.command.output.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class CsvWriter:
    """Prints rows as CSV under a line of names, which the first row says."""

    def __init__(self) -> None:
        import csv

        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._is_first = True

    def write(self, row: Mapping[str, object]) -> None:
        """Prints a row."""
        if self._is_first:
            self._writer.writerow(row)
            self._is_first = False
        self._writer.writerow([_cell(value) for value in row.values()])


def print_csv(rows: Iterable[Mapping[str, object]]) -> None:
    """Prints rows as CSV under a line of names."""
    writer = CsvWriter()
    for row in rows:
        writer.write(row)


def _cell(value: object) -> object:
    """A spreadsheet runs a text as a formula that begins with one of these: the quote stops it."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return "'" + value
    return value


def terminal_width() -> int | None:
    """The columns of the terminal that stdout is; None when it is none and nothing is wrapped."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None,
    *,
    whole: int = 1,
    gap: str = "  ",
    rule: str = "",
) -> Iterator[str]:
    """The lines of a table, its cells wrapped so that it fits the width.

    The first `whole` columns, of ids and secrets, are never wrapped: half of one would be copied.
    `rule` is drawn under the headings.
    """
    cells = [list(headings), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(display_width, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        widths = _fit(widths, width - len(gap) * (len(widths) - 1), whole)
    for number, row in enumerate(cells):
        wrapped = [wrap(cell, columns) for cell, columns in zip(row, widths, strict=True)]
        for at in range(max(map(len, wrapped))):
            line = [
                _pad(lines[at] if at < len(lines) else "", columns)
                for lines, columns in zip(wrapped, widths, strict=True)
            ]
            yield gap.join(line).rstrip()
        if number == 0 and rule:
            yield rule * (sum(widths) + len(gap) * (len(widths) - 1))


def _fit(widths: list[int], available: int, whole: int) -> list[int]:
    """Narrows the widest columns after the first `whole` until all fit; none below what can be
    read.
    """
    narrowest = 4
    fitted = list(widths)
    while sum(fitted) > available:
        widest = max(range(whole, len(fitted)), key=fitted.__getitem__, default=0)
        if widest < whole or fitted[widest] <= narrowest:
            break
        fitted[widest] -= 1
    return fitted


def wrap(text: str, width: int) -> list[str]:
    """The lines of a text in that many columns, broken after spaces and commas where it can be."""
    import re

    lines, line = [], ""
    for word in re.findall(r"[^ ,]*[ ,]|[^ ,]+", text):
        if line and display_width(line + word.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        while display_width(word.rstrip()) > width:
            fits = 1
            while display_width(word[: fits + 1]) <= width:
                fits += 1
            lines.append(word[:fits])
            word = word[fits:]
        line += word
    return [*lines, line.rstrip()] if line or not lines else lines


def _pad(text: str, width: int) -> str:
    return text + " " * (width - display_width(text))


def display_width(text: str) -> int:
    """How many columns of a terminal a text takes: wide characters take two, accents none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )
