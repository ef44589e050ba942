"""Hold a string that never shows itself."""

from typing import NoReturn


class Secret:
    """Hold one secret text; only `reveal()` gives it back.

    repr, str, format and tracebacks that print local variables show a placeholder; pickling,
    copying into JSON and hashing are refused, so that it reaches no log, task argument or cache
    key.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the text itself.

        Call it only where the secret is used: signing, sealing, answering its owner.
        """
        return self.__value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.__value

    __hash__ = None  # type: ignore[assignment]  # a secret is no key

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")
