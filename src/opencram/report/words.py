"""English and French as the report and the communiqué need them: numbers, plurals, dates, directions, distances."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = ("en", "fr")

NBSP = "\u00a0"
NARROW = "\u202f"

_UNITS = {
    "en": ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
    "fr": ["aucun", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze"],
}
_DAYS = {
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "fr": ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
}
_MONTHS_EN = "January February March April May June July August September October November December"
_MONTHS_FR = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
_MONTHS = {
    "en": _MONTHS_EN.split(),
    "fr": _MONTHS_FR.split(),
}
_COMPASS = {
    "en": ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"),
    "fr": ("nord", "nord-est", "est", "sud-est", "sud", "sud-ouest", "ouest", "nord-ouest"),
}
COMPASS_POINTS = _COMPASS["en"]

_NOUNS: dict[str, dict[str, tuple[str, str, bool]]] = {  # family -> language -> one, many, feminine
    "rocket": {"en": ("rocket", "rockets", False), "fr": ("roquette", "roquettes", True)},
    "mortar": {"en": ("mortar bomb", "mortar bombs", False), "fr": ("obus de mortier", "obus de mortier", False)},
    "shell": {"en": ("shell", "shells", False), "fr": ("obus", "obus", False)},
    "drone": {"en": ("drone", "drones", False), "fr": ("drone", "drones", False)},
    "projectile": {"en": ("projectile", "projectiles", False), "fr": ("projectile", "projectiles", False)},
    "track": {"en": ("object", "objects", False), "fr": ("objet", "objets", False)},
}


def noun(family: str, n: int, language: Language) -> str:
    """What a family of threats is called, in the number that `n` asks for (French: singular up to one)."""
    one, many, _ = _NOUNS.get(family, _NOUNS["projectile"])[language]
    return one if n == 1 or (language == "fr" and n == 0) else many


def is_feminine(family: str) -> bool:
    """Whether the French noun of a family is feminine."""
    return _NOUNS.get(family, _NOUNS["projectile"])["fr"][2]


def number(n: int, language: Language, feminine: bool = False) -> str:
    """A count: in words up to twelve, in digits above."""
    if 0 <= n <= 12:
        word = _UNITS[language][n]
        return word + "e" if feminine and language == "fr" and n in (0, 1) else word
    return digits(n, language)


def counted(n: int, family: str, language: Language) -> str:
    """'seven rockets', 'une roquette'."""
    return f"{number(n, language, is_feminine(family))} {noun(family, n, language)}"


def upfirst(text: str) -> str:
    """The text with its first letter as a capital, the rest left alone."""
    return text[:1].upper() + text[1:]


def digits(value: float, language: Language, places: int = 0) -> str:
    """A number with its language's separators: 1,234.5 and 1 234,5 (narrow no-break space)."""
    text = f"{value:,.{places}f}"
    return text.replace(",", NARROW).replace(".", ",") if language == "fr" else text


def ordinal(n: int, language: Language, feminine: bool = False) -> str:
    """'first', 'nineteenth' as 1st, 19th; French 1er, 1re, 19e."""
    if language == "fr":
        return ("1re" if feminine else "1er") if n == 1 else f"{n}e"
    suffix = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def joined(parts: Sequence[str], language: Language) -> str:
    """'a, b and c'; 'a, b et c'."""
    parts = list(parts)
    last = " and " if language == "en" else " et "
    return last.join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def distance(metres: float, language: Language) -> str:
    """A distance as it is known: to 10 m below 1 km (to 1 m below 100 m), to 100 m above."""
    if metres < 995.0:
        step = 1 if metres < 100.0 else 10
        return f"{round(metres / step) * step}{NBSP}m"
    return f"{digits(metres / 1000.0, language, 1)}{NBSP}km"


def seconds(value: float, language: Language) -> str:
    """A duration in whole seconds below two minutes, in minutes and seconds above."""
    whole = round(abs(value))
    minutes, rest = divmod(whole, 60)
    text = f"{whole}{NBSP}s" if whole < 120 else f"{minutes}{NBSP}min {rest:02d}{NBSP}s"
    return f"−{text}" if value <= -0.5 else text


def compass(azimuth_deg: float, language: Language) -> str:
    """The nearest of the eight points of the compass."""
    return _COMPASS[language][round(azimuth_deg / 45.0) % 8]


def from_compass(azimuth_deg: float, language: Language) -> str:
    """'from the east', 'de l’est', 'du nord'."""
    name = compass(azimuth_deg, language)
    if language == "en":
        return f"from the {name}"
    return f"de l’{name}" if name[0] in "aeo" else f"du {name}"


def to_compass(azimuth_deg: float, language: Language) -> str:
    """'to the east', 'à l’est', 'au nord'."""
    name = compass(azimuth_deg, language)
    if language == "en":
        return f"to the {name}"
    return f"à l’{name}" if name[0] in "aeo" else f"au {name}"


def day(when: date, language: Language, weekday: bool = True) -> str:
    """'Tuesday 17 November 2020', 'mardi 17 novembre 2020', '1er mars 2020'."""
    number_of_day = "1er" if language == "fr" and when.day == 1 else str(when.day)
    text = f"{number_of_day} {_MONTHS[language][when.month - 1]} {when.year}"
    return f"{_DAYS[language][when.weekday()]} {text}" if weekday else text


def utc(time_ns: int) -> datetime:
    """A time of the tables as a datetime, to the microsecond."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).replace(microsecond=time_ns // 1000 % 10**6)


def iso(time_ns: int) -> str:
    """A time as the contract's ISO 8601 text, to the millisecond."""
    return f"{utc(time_ns):%Y-%m-%dT%H:%M:%S}.{time_ns // 10**6 % 1000:03d}Z"


def time_ns(text: str) -> int:
    """The inverse of `iso`, for any UTC time with up to nine decimals."""
    whole, _, fraction = text.removesuffix("Z").removesuffix("+00:00").partition(".")
    seconds_utc = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds_utc * 10**9 + int((fraction + "0" * 9)[:9])


def zone_of(name: str | None) -> tzinfo:
    """The time zone of an IANA name; UTC where there is none, or the machine does not know it."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def clock(when: datetime, language: Language, with_seconds: bool = True) -> str:
    """20:31:07, or 20 h 31 min 7 s as French prose writes it."""
    if language == "en":
        return f"{when:%H:%M:%S}" if with_seconds else f"{when:%H:%M}"
    text = f"{when.hour}{NBSP}h{NBSP}{when.minute:02d}"
    return f"{text}{NBSP}min{NBSP}{when.second:02d}{NBSP}s" if with_seconds else text


def spaced(text: str) -> str:
    """French typography: no-break spaces before ; : ! ? » and after «, and curly apostrophes."""
    text = re.sub(r"(?<=\d) ?%", NBSP + "%", text.replace("'", "’"))
    text = re.sub(r"(?<=\w|\)|»|%) ?([;!?])(?=\s|$)", NARROW + r"\1", text)
    text = re.sub(r"(?<=[^\s\d]) ?:(?=\s|$)", NBSP + ":", text)
    return re.sub(r"\s?»", NBSP + "»", re.sub(r"«\s?", "«" + NBSP, text))
