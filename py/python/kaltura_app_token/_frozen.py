"""`dataclass`: what `dataclasses.dataclass(frozen=True, slots=True)` makes of a class, made faster.

The standard module takes longer to import, and to make its methods, than most calls of a server:
here they are shared by all classes, and the standard module is only loaded for who asks a class for
its `fields`. Knows nothing of the classes it is used on.
"""

from __future__ import annotations

import sys
from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
    """Makes a frozen class with slots of its annotations; it has no other kind."""
    if not (frozen and slots):
        raise TypeError("only frozen classes with slots are made here")
    return _make


def _make(cls: type) -> type:
    names = tuple(cls.__annotations__)
    own = dict(vars(cls))
    defaults = {name: own.pop(name) for name in names if name in own}
    for name in ("__dict__", "__weakref__"):
        own.pop(name, None)
    added = {
        "__slots__": names,
        "__match_args__": names,
        "__init__": _init(cls, names, defaults),
        "__eq__": _eq,
        "__hash__": _hash,
        "__setattr__": _setattr,
        "__delattr__": _delattr,
        "__dataclass_fields__": _Standard(names, defaults),
        "__dataclass_params__": _Standard(names, defaults),
        "_values": attrgetter(*names),
        "_defaults": defaults,
    }
    if sys.version_info >= (3, 13):
        added["__replace__"] = _replace
    return type(cls)(cls.__name__, cls.__bases__, own | added)


def _init(cls: type, names: tuple[str, ...], defaults: dict[str, Any]) -> Callable[..., None]:
    parameters = [f"{name}=_{name}" if name in defaults else name for name in names]
    lines = [f"def __init__(self, {', '.join(parameters)}):"]
    lines += [f" _set(self, {name!r}, {name})" for name in names]
    scope: dict[str, Any] = {f"_{name}": value for name, value in defaults.items()}
    scope["_set"] = object.__setattr__
    # The same for every class, of names that stand in this package.
    exec("\n".join(lines), scope)  # noqa: S102
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    init.__annotations__ = cls.__annotations__ | {"return": "None"}
    return init


class _Standard:
    """What `dataclasses` keeps with a class, for whoever asks for it."""

    def __init__(self, names: tuple[str, ...], defaults: dict[str, Any]) -> None:
        self._names = names
        self._defaults = defaults

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        from dataclasses import field, make_dataclass

        annotations = owner.__annotations__
        fields = [
            (name, annotations[name], field(default=self._defaults[name]))
            if name in self._defaults
            else (name, annotations[name])
            for name in self._names
        ]
        made = make_dataclass(owner.__name__, fields, frozen=True)
        standard = getattr(made, self._name)
        setattr(owner, self._name, standard)
        return standard


def _eq(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return self._values(self) == self._values(other)


def _hash(self: Any) -> int:
    return hash(self._values(self))


def _setattr(self: Any, name: str, value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _replace(self: Any, /, **changes: Any) -> Any:
    pairs = zip(self.__match_args__, self._values(self), strict=True)
    return type(self)(**(dict(pairs) | changes))
