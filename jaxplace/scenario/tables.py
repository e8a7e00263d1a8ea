"""Finding and opening tables: Parquet, CSV, folders of Parquet shards, DataFrames.

Every form becomes a `Source`: names of columns, and one Arrow column at a time, so that a table
is never whole in memory twice.  What a column means is `columns`' business.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from jaxplace.errors import InputError


ASSUMPTIONS_KEY = b"jaxplace_assumptions"  # of the Parquet schema metadata: a JSON list of texts


class Source(Protocol):
    """A table that has been found and whose column names are known."""

    names: tuple[str, ...]
    assumptions: tuple[str, ...]

    def prepare(self, kinds: Mapping[str, str]) -> None:
        """Told once which columns are wanted, and their kinds (see `schema`)."""

    def column(self, label: str, kind: str) -> pa.ChunkedArray:
        """One wanted column; asked for once.

        Raises:
            InputError: the file is damaged.
        """


class FrameSource:
    """A pandas DataFrame; its index is ignored."""

    def __init__(self, name: str, frame: pd.DataFrame) -> None:
        if not isinstance(frame, pd.DataFrame):
            raise InputError(f"`{name}`: must be a pandas DataFrame. Got {type(frame).__name__}")
        self.names = tuple(str(label) for label in frame.columns)
        self.assumptions: tuple[str, ...] = ()
        _refuse_twins(name, self.names, "the DataFrame")
        self._name, self._frame = name, frame

    def prepare(self, kinds: Mapping[str, str]) -> None:
        """Nothing: the columns are there."""

    def column(self, label: str, kind: str) -> pa.ChunkedArray:
        """The column as Arrow, without a copy where pandas allows it."""
        values = self._frame.iloc[:, self.names.index(label)]
        try:
            array = pa.Array.from_pandas(values)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"`{self._name}.{label}`: mixes types in one column ({_first_line(error)}). "
                "Store every row the same way"
            ) from error
        return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


class ParquetSource:
    """One Parquet file, or a folder of shards whose schemas need not be the same."""

    def __init__(self, name: str, path: Path) -> None:
        import pyarrow.dataset as ds
        import pyarrow.parquet as pq

        self._name, self._path = name, path
        self._files = _shards(path) if path.is_dir() else [path]
        if not self._files:
            raise InputError(f"`{name}`: folder {path} holds no Parquet shards. Put them there")
        found: list[pa.Schema] = []
        self.assumptions: tuple[str, ...] = ()
        for file in self._files:
            try:
                shard = pq.read_schema(file)
            except (pa.ArrowException, OSError) as error:
                raise InputError(_unreadable(name, file, error)) from error
            _refuse_twins(name, shard.names, str(file))
            self.assumptions += _assumptions(name, shard)
            found.append(_without_dictionaries(shard))
        self._options: dict[str, Any] = {}
        self._in_paths: frozenset[str] = frozenset()  # columns that the folders' names hold
        if any("=" in str(file.relative_to(path)) for file in self._files):
            self._options = {"partitioning": "hive", "partition_base_dir": str(path)}
            shards = [str(file) for file in self._files]
            whole = ds.dataset(shards, format="parquet", **self._options)
            in_paths = _without_dictionaries(whole.partitioning.schema)
            self._in_paths = frozenset(in_paths.names)
            found.append(in_paths)
        try:
            self._schema = pa.unify_schemas(found, promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(
                f"`{name}`: the shards of {path} store one column in different ways "
                f"({_first_line(error)}). Write them all with the same types"
            ) from error
        self.names = tuple(self._schema.names)

    def prepare(self, kinds: Mapping[str, str]) -> None:
        """Nothing: each column is read by itself."""

    def column(self, label: str, kind: str) -> pa.ChunkedArray:
        """The column of all shards in the order of their names."""
        import pyarrow.dataset as ds

        field = self._schema.field(label)
        text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        encode = text and kind in ("id", "text", "time") and label not in self._in_paths
        if encode:  # ten million rows of a few distinct texts are ten million small integers
            field = field.with_type(pa.dictionary(pa.int32(), pa.string()))
        elif text:
            field = field.with_type(pa.large_string())
        try:
            dataset = ds.dataset(
                [str(file) for file in self._files],
                schema=pa.schema([field]),
                format=ds.ParquetFileFormat(dictionary_columns=[label] if encode else None),
                **self._options,
            )
            return dataset.to_table(columns=[label]).column(0)
        except (pa.ArrowException, OSError) as error:
            raise InputError(_unreadable(self._name, self._path, error)) from error


class CsvSource:
    """A CSV file.  Only the empty cell is null: "NA" is Namibia."""

    def __init__(self, name: str, path: Path) -> None:
        import pyarrow.csv as csv

        self._name, self._path = name, path
        self.assumptions: tuple[str, ...] = ()
        self._columns: dict[str, pa.ChunkedArray] = {}
        try:
            with csv.open_csv(path) as reader:
                self.names = tuple(reader.schema.names)
        except (pa.ArrowException, OSError) as error:
            raise InputError(_unreadable(name, path, error)) from error
        _refuse_twins(name, self.names, str(path))

    def prepare(self, kinds: Mapping[str, str]) -> None:
        """Read the wanted columns in one pass; a second one if a number turns out to be text."""
        text = {label: _csv_type(kind, strict=False) for label, kind in kinds.items()}
        strict = {label: _csv_type(kind, strict=True) for label, kind in kinds.items()}
        try:
            try:
                table = self._read(strict)
            except pa.ArrowInvalid:
                table = self._read(text)
        except (pa.ArrowException, OSError) as error:
            raise InputError(_unreadable(self._name, self._path, error)) from error
        self._columns = dict(zip(table.column_names, table.columns, strict=True))

    def column(self, label: str, kind: str) -> pa.ChunkedArray:
        """The column, given away; text where a number was wanted and some row holds none."""
        array = self._columns.pop(label)
        if kind in ("number", "count") and pa.types.is_string(array.type):
            try:  # this column may be sound, another one made `prepare` read text
                return array.cast(pa.float64())
            except pa.ArrowInvalid:
                return array
        return array

    def _read(self, types: Mapping[str, pa.DataType]) -> pa.Table:
        import pyarrow.csv as csv

        if not types:
            return pa.table({})
        options = csv.ConvertOptions(
            include_columns=list(types),
            column_types=dict(types),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )
        return csv.read_csv(self._path, convert_options=options)


def _csv_type(kind: str, *, strict: bool) -> pa.DataType:
    """The Arrow type that a CSV column is read as."""
    if kind in ("number", "count"):
        return pa.float64() if strict else pa.string()
    return pa.string() if kind == "key" else pa.dictionary(pa.int32(), pa.string())


def find(folder: Path, name: str) -> tuple[Source | None, list[str]]:
    """The table NAME of a folder (None if there is none) and what to tell the user about it.

    Raises:
        InputError: it is there and cannot be read.
    """
    there = [
        path
        for path in (folder / f"{name}.parquet", folder / name, folder / f"{name}.csv")
        if path.exists()
    ]
    if not there:
        return None, []
    first, *others = there
    notes = [f"`{name}`: {first.name} is read, {other.name} beside it is not" for other in others]
    if first.suffix == ".csv" and first.is_file():
        return CsvSource(name, first), notes
    source: Source = ParquetSource(name, first)
    return source, notes


def _shards(folder: Path) -> list[Path]:
    """The files below a folder, without hidden ones and markers such as `_SUCCESS`."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    )


def _without_dictionaries(schema: pa.Schema) -> pa.Schema:
    """The schema with dictionary columns as their values, so that shards can be unified."""
    return pa.schema(
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in schema
    )


def _assumptions(name: str, schema: pa.Schema) -> tuple[str, ...]:
    """What the table's writer marked as assumed."""
    text = (schema.metadata or {}).get(ASSUMPTIONS_KEY)
    if text is None:
        return ()
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise InputError(
            f"`{name}`: the metadata {ASSUMPTIONS_KEY.decode()} must be a JSON list of texts. "
            "Write it anew or remove it"
        )
    return tuple(found)


def _refuse_twins(name: str, names: Sequence[str], where: str) -> None:
    twins = sorted({label for label in names if names.count(label) > 1})
    if twins:
        raise InputError(
            f"`{name}.{twins[0]}`: {where} has {names.count(twins[0])} columns of this name. "
            "Keep one"
        )


def _unreadable(name: str, path: Path, error: Exception) -> str:
    return (
        f"`{name}`: {path} cannot be read ({_first_line(error)}). It may be truncated or of "
        "another format: write it again"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
