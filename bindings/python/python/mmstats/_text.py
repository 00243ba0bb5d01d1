"""Texts that are published as they are, whatever they hold."""


def published(text: str) -> str:
    """The text, with an escape for what has no UTF-8: the names of files may have such bytes."""
    return text.encode("utf-8", "backslashreplace").decode()
