"""The colours: dark, light, high contrast, and a dark one for eyes that mix up red and green."""

from collections.abc import Container
from typing import Final

from textual.theme import Theme

from agentmesh.errors import ConfigError

DARK: Final = Theme(
    name="mesh-dark",
    primary="#6cb6ff",
    secondary="#8ddb8c",
    accent="#6cb6ff",
    success="#8ddb8c",
    warning="#e0b84c",
    error="#ff7b72",
    foreground="#d5dbe3",
    background="#12161c",
    surface="#1a2029",
    panel="#242c38",
    dark=True,
)
LIGHT: Final = Theme(
    name="mesh-light",
    primary="#0550ae",
    secondary="#116329",
    accent="#0550ae",
    success="#116329",
    warning="#7a4d00",
    error="#a40e26",
    foreground="#1f2328",
    background="#ffffff",
    surface="#f3f5f8",
    panel="#e3e8ee",
    dark=False,
)
CONTRAST: Final = Theme(
    name="mesh-contrast",
    primary="#ffffff",
    secondary="#00ff66",
    accent="#00e5ff",
    success="#00ff66",
    warning="#ffff00",
    error="#ff5050",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
    dark=True,
)
COLOUR_BLIND: Final = Theme(  # blue and orange differ for every kind of eye; after Okabe and Ito (2008)
    name="mesh-blue-orange",
    primary="#56b4e9",
    secondary="#56b4e9",
    accent="#cc79a7",
    success="#56b4e9",
    warning="#f0e442",
    error="#e69f00",
    foreground="#d5dbe3",
    background="#12161c",
    surface="#1a2029",
    panel="#242c38",
    dark=True,
)
THEMES: Final = (DARK, LIGHT, CONTRAST, COLOUR_BLIND)


def theme_named(name: str) -> Theme:
    """Return the theme of a name.

    Raises:
        ConfigError: there is none.
    """
    known = {theme.name: theme for theme in THEMES}
    if name not in known:
        raise ConfigError(f"there is no theme {name!r}; choose {', '.join(known)}")
    return known[name]


def known_theme(name: str | None, known: Container[str]) -> str:
    """Return the name of a theme where it is ``known``, else that of the first one."""
    return name if name is not None and name in known else THEMES[0].name
