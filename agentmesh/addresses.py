"""Addresses of databases as they may be shown: without what opens them."""

import re
from typing import Final

_PASSWORD: Final = re.compile(r"(?s)^(\w[\w+.-]*://[^:/@]*):.*@")  # up to the last @, whatever a password holds
_IN_QUERY: Final = re.compile(r"(?i)([?&](?:ssl)?password=)[^&]*")


def without_password(url: str) -> str:
    """Return a URL as it may be shown and logged. One without a password is returned as it is.

    >>> without_password("postgresql://ada:s3:cr@t@db.example/mesh")
    'postgresql://ada@db.example/mesh'
    >>> without_password("sqlite:///a:b@c.db")
    'sqlite:///a:b@c.db'
    """
    return _IN_QUERY.sub(r"\1", _PASSWORD.sub(r"\1@", url))
