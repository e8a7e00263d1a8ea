"""Hours as the loop names them: ISO 8601 in UTC, 2022-07-01T12:00."""

import datetime

from jaxplace.errors import InputError


HOUR = datetime.timedelta(hours=1)


def parse(text: str, *, option: str) -> datetime.datetime:
    """The hour that a text names, in UTC.

    Raises:
        InputError: it is no time, or not the start of an hour.
    """
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"`{option}`: {text!r} is no time. Write it as 2022-07-01T12:00"
        ) from error
    if time.tzinfo is not None:
        time = time.astimezone(datetime.UTC).replace(tzinfo=None)
    if time != time.replace(minute=0, second=0, microsecond=0):
        raise InputError(f"`{option}`: {text!r} is not the start of an hour")
    return time


def iso(time: datetime.datetime) -> str:
    """2022-07-01T12:00."""
    return time.strftime("%Y-%m-%dT%H:%M")


def short(hour: str) -> str:
    """An hour for names of files and folders, which may not like colons: 2022-07-01T12."""
    return hour.removesuffix(":00")


def between(first: str, last: str) -> float:
    """Hours from one to the other."""
    start, end = (datetime.datetime.fromisoformat(text) for text in (first, last))
    return (end - start) / HOUR


def now() -> str:
    """The hour that the clock shows, in UTC."""
    return iso(datetime.datetime.now(datetime.UTC).replace(minute=0))


def listed(hour: str | None, start: str | None, hours: int | None) -> list[str]:
    """The hours to plan: one, or `hours` from `start`.

    Raises:
        InputError: both forms at once, half of the second, or a text that is no hour.
    """
    if start is None and hours is None:
        return [now() if hour is None else iso(parse(hour, option="hour"))]
    if hour is not None:
        raise InputError("`hour` and `from` are two ways to say when. Give one of them")
    if start is None or hours is None:
        raise InputError("`from` and `hours` belong together: from=2022-07-01T00:00 hours=24")
    if hours < 1:
        raise InputError(f"`hours` must be >= 1. Got {hours}")
    first = parse(start, option="from")
    return [iso(first + k * HOUR) for k in range(hours)]
