"""From an Arrow column to the form that the rest of the package computes with, by kind.

Nothing here loops over rows, and no column of Python objects is made: the widest column of ten
million requests is their ids.
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jaxplace.errors import InputError
from jaxplace.scenario.faults import row_fault


STORE_NUMBERS = "Store plain numbers"
STORE_IDS = "Ids are texts or integers: store them so"


def convert(kind: str, array: pa.ChunkedArray, where: str, *, from_csv: bool = False) -> Any:
    """A column in its kind's form (see `schema`).

    Args:
        kind: `key`, `id`, `text`, `number`, `count` or `time`.
        array: [n].
        where: `table.column`, for messages.
        from_csv: texts that all look like integers are integers, as pandas reads them.

    Raises:
        InputError: the values are not of that kind.
    """
    if kind in ("number", "count"):
        return _number(array, where, whole=kind == "count")
    if kind == "time":
        return _time(array, where)
    if kind == "key":
        return _key(array, where, from_csv=from_csv)
    return _shared(array, where, from_csv=from_csv and kind == "id", text=kind == "text")


def isna(values: Any) -> np.ndarray:
    """[n] bool, True where a converted column is null or NaN."""
    if isinstance(values, pd.Categorical):
        return values.codes < 0
    return np.asarray(pd.isna(values), dtype=bool)


def _number(array: pa.ChunkedArray, where: str, *, whole: bool) -> np.ndarray:
    """float64 with NaN for null; int64 for counts without nulls that are whole."""
    array = _plain(array)
    dtype = array.type
    if pa.types.is_boolean(dtype):
        raise InputError(f"`{where}`: holds booleans in {len(array)} rows. {STORE_NUMBERS}")
    if _is_text(dtype):
        raise InputError(_not_numbers(array, where))
    if not _is_real(dtype) and not pa.types.is_null(dtype):
        raise InputError(f"`{where}`: holds {dtype} in {len(array)} rows. {STORE_NUMBERS}")
    exact = pa.types.is_integer(dtype) and not pa.types.is_uint64(dtype)
    if whole and exact and not array.null_count:
        return array.cast(pa.int64()).to_numpy()
    numbers = np.asarray(array.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    # NaN and inf are in neither set; what stays float64 is for the schema's checks to refuse
    if whole and ((numbers == np.floor(numbers)) & (np.abs(numbers) <= 2.0**53)).all():
        return numbers.astype(np.int64)
    return numbers


def _not_numbers(array: pa.ChunkedArray, where: str) -> str:
    """The fault of a column of text, with the rows that are no numbers if only some are not."""
    texts = array.cast(pa.large_string()).to_pandas()
    known = pd.to_numeric(pd.Series(texts.unique()).dropna(), errors="coerce")
    bad_texts = pd.Series(texts.unique()).dropna()[known.isna()]
    bad = texts.isin(bad_texts).to_numpy(dtype=bool)
    if not bad.any():
        return f"`{where}`: holds numbers stored as text in {len(array)} rows. {STORE_NUMBERS}"
    values = texts.to_numpy(dtype=object)
    return row_fault(where, bad, values, "hold text instead of a number", STORE_NUMBERS)


def _time(array: pa.ChunkedArray, where: str) -> Any:
    """UTC times; without a zone they are UTC already.  Each distinct text is parsed once."""
    array = _plain(array) if not pa.types.is_dictionary(array.type) else array
    if pa.types.is_null(array.type):
        array = array.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        zone = "UTC"  # Arrow keeps zoned times as UTC, and naive ones are meant as UTC
        return pd.array(array.cast(pa.timestamp("us"), safe=False).to_pandas().dt.tz_localize(zone))
    if not _is_text(_value_type(array.type)):
        raise InputError(
            f"`{where}`: holds {array.type} in {len(array)} rows, which is no time. Store "
            "timestamps, or texts such as 2022-07-01T12:00"
        )
    codes, texts = _encode(array)
    times = parse_times(texts)
    bad = np.append(times.isna(), False)[codes]
    if bad.any():
        remedy = "Write the hour's start as 2022-07-01T12:00"
        raise InputError(row_fault(where, bad, texts.take(codes), "are no times", remedy))
    return pd.array(times.take(codes, allow_fill=True, fill_value=pd.NaT))


def parse_times(texts: Any) -> pd.DatetimeIndex:
    """UTC times of texts, NaT where one cannot be read."""
    texts = pd.Series(texts, dtype=object)
    times = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    if times.isna().any():
        other = pd.to_datetime(texts, utc=True, format="mixed", errors="coerce")
        times = times.fillna(other)
    return pd.DatetimeIndex(times).as_unit("us")


def iso(time: pd.Timestamp) -> str:
    """`2022-07-01T12:00`, in UTC; seconds only where they are not 0."""
    time = time.tz_convert("UTC").tz_localize(None)
    return time.isoformat(timespec="auto" if time.second or time.microsecond else "minutes")


def _key(array: pa.ChunkedArray, where: str, *, from_csv: bool) -> Any:
    """int64 in NumPy, or Arrow strings: 10 million of them must not become Python objects."""
    array = _plain(array)
    if from_csv:
        array = _integers_of(array, where)
    if pa.types.is_null(array.type):
        array = array.cast(pa.large_string())
    if _is_text(array.type):
        return pd.arrays.ArrowExtensionArray(array.cast(pa.large_string()))
    array = _whole_ids(array, where)
    if array.null_count:
        return pd.arrays.ArrowExtensionArray(array)
    return array.to_numpy()


def _shared(array: pa.ChunkedArray, where: str, *, from_csv: bool, text: bool) -> pd.Categorical:
    """Codes into the distinct values that occur, in the order in which they first do."""
    kind = _value_type(array.type)
    if text and not _is_text(kind) and not pa.types.is_null(kind):
        raise InputError(f"`{where}`: holds {kind} in {len(array)} rows. Store texts")
    if pa.types.is_null(kind):
        return pd.Categorical.from_codes(np.full(len(array), -1), pd.Index([], dtype=object))
    codes, values = _encode(array)
    distinct = pa.chunked_array([pa.array(values, from_pandas=True)])
    if from_csv:
        distinct = _integers_of(distinct, where)
    if pa.types.is_null(distinct.type):  # only nulls
        distinct = distinct.cast(pa.large_string())
    if not _is_text(distinct.type):
        distinct = _whole_ids(distinct, where)
    # two texts may be one integer ("7", "07"), and a dictionary may hold entries nobody uses
    merged, values = pd.factorize(distinct.to_numpy() if len(distinct) else np.array([], object))
    codes = np.append(merged, -1)[codes]
    used = np.zeros(len(values) + 1, dtype=bool)
    used[codes] = True
    used = used[:-1]
    if not used.all():
        codes = np.append(np.cumsum(used) - 1, -1)[codes]
        values = values[used]
    return pd.Categorical.from_codes(codes, pd.Index(values))


def _encode(array: pa.ChunkedArray) -> tuple[np.ndarray, pd.Index]:
    """(codes [n], distinct values); code -1 for null."""
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    array = array.unify_dictionaries()
    if array.num_chunks == 0:
        return np.zeros(0, np.int32), pd.Index([], dtype=object)
    codes = np.concatenate(
        [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in array.chunks]
    )
    return codes.astype(np.int32, copy=False), pd.Index(array.chunk(0).dictionary.to_pandas())


def _integers_of(array: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Texts of a CSV as integers if all of them are ("3.0" is 3, next to a null); else as is.

    Raises:
        InputError: all of them are numbers, yet not all whole: such ids depend on the reader.
    """
    if not _is_text(array.type) or array.null_count == len(array):
        return array
    trimmed = pc.utf8_trim_whitespace(array)
    try:
        return trimmed.cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    try:
        numbers = trimmed.cast(pa.float64())
    except pa.ArrowInvalid:
        return array
    try:
        return numbers.cast(pa.int64())
    except pa.ArrowInvalid as error:
        said = f"`{where}`: all {len(array)} ids of the CSV are decimals. {STORE_IDS}"
        raise InputError(said) from error


def _whole_ids(array: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Ids as int64; floats are what pandas makes of integers beside a null."""
    try:
        if pa.types.is_floating(array.type) or pa.types.is_integer(array.type):
            return array.cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    raise InputError(f"`{where}`: holds {array.type} in {len(array)} rows. {STORE_IDS}")


def _plain(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without its dictionary."""
    if pa.types.is_dictionary(array.type):
        return array.cast(array.type.value_type)
    return array


def _value_type(dtype: pa.DataType) -> pa.DataType:
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


def _is_text(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or dtype == pa.string_view()
    )


def _is_real(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)
    )
