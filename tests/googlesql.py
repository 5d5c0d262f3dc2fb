"""BigQuery's own judge of SQL: the GoogleSQL analyser, with the project's tables as its catalogue.

It resolves names and checks types as BigQuery does before it runs anything; an emulator over another database cannot
(the package zetasql: Google's ZetaSQL, which BigQuery's documentation calls GoogleSQL, as WebAssembly).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock
from wasmtime import Engine, Module
from zetasql import types
from zetasql.api import PreparedQuery, TableBuilder
from zetasql.core import wasm_client
from zetasql.core.exceptions import ServerError
from zetasql.core.local_service import ZetaSqlLocalService
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2

#: Column name to type, in GoogleSQL's words ("STRING", "ARRAY<STRING>"), in order.
Columns = Mapping[str, str]

_CACHE = Path(__file__).resolve().parent.parent / ".venv-emulators" / "googlesql"

_KINDS = {
    "STRING": types.TypeKind.TYPE_STRING,
    "INT64": types.TypeKind.TYPE_INT64,
    "FLOAT64": types.TypeKind.TYPE_DOUBLE,
    "BOOL": types.TypeKind.TYPE_BOOL,
    "TIMESTAMP": types.TypeKind.TYPE_TIMESTAMP,
    "DATE": types.TypeKind.TYPE_DATE,
    "DATETIME": types.TypeKind.TYPE_DATETIME,
    "TIME": types.TypeKind.TYPE_TIME,
    "BYTES": types.TypeKind.TYPE_BYTES,
    "NUMERIC": types.TypeKind.TYPE_NUMERIC,
    "BIGNUMERIC": types.TypeKind.TYPE_BIGNUMERIC,
    "JSON": types.TypeKind.TYPE_JSON,
    "INTERVAL": types.TypeKind.TYPE_INTERVAL,
}
#: BigQuery's other names of types
#: (https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#numeric_types), unknown to the language.
_ALIASES = dict.fromkeys(("INT", "SMALLINT", "INTEGER", "BIGINT", "TINYINT", "BYTEINT"), "INT64")
#: BigQuery's other names of aggregates
#: (https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate_functions#max_by).
_MAX_BY = re.compile(r"\b(max|min)_by\(([^(),]+), ([^(),]+)\)", re.IGNORECASE)
_NAMES = {kind: name for name, kind in _KINDS.items()}

#: GoogleSQL's types for the words in which sources and contracts declare columns.
NEUTRAL_TYPES = {
    "string": "STRING",
    "integer": "INT64",
    "number": "FLOAT64",
    "boolean": "BOOL",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "array<string>": "ARRAY<STRING>",
}

#: What the language has and BigQuery's reference does not
#: (https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax).
_NOT_IN_BIGQUERY = frozenset(
    f"FEATURE_{name}"
    for name in (
        "AGGREGATE_FILTERING",
        "ALIASES_FOR_STRING_AND_DATE_FUNCTIONS",
        "ARRAY_AGGREGATION_FUNCTIONS",
        "ARRAY_EQUALITY",
        "ARRAY_FIND_FUNCTIONS",
        "ARRAY_GREATEST_LEAST",
        "ARRAY_ORDERING",
        "CAST_DIFFERENT_ARRAY_TYPES",
        "CHAINED_FUNCTION_CALLS",
        "DML_RETURNING",
        "INLINE_LAMBDA_ARGUMENT",
        "INSERT_ON_CONFLICT_CLAUSE",
        "JSON_TYPE_COMPARISON",
        "LATERAL_COLUMN_REFERENCES",
        "LATERAL_JOIN",
        "LIMIT_ALL",
        "MAP_TYPE",
        "MULTILEVEL_AGGREGATION",
        "ROW_TYPE",
        "UUID_TYPE",
        "WITH_GROUP_ROWS",
    )
)
_STATEMENTS = (
    types.ResolvedNodeKind.RESOLVED_QUERY_STMT,
    types.ResolvedNodeKind.RESOLVED_CREATE_SCHEMA_STMT,
    types.ResolvedNodeKind.RESOLVED_CREATE_TABLE_STMT,
    types.ResolvedNodeKind.RESOLVED_CREATE_TABLE_AS_SELECT_STMT,
    types.ResolvedNodeKind.RESOLVED_CREATE_VIEW_STMT,
    types.ResolvedNodeKind.RESOLVED_MERGE_STMT,
    types.ResolvedNodeKind.RESOLVED_INSERT_STMT,
    types.ResolvedNodeKind.RESOLVED_UPDATE_STMT,
    types.ResolvedNodeKind.RESOLVED_DELETE_STMT,
    types.ResolvedNodeKind.RESOLVED_TRUNCATE_STMT,
    types.ResolvedNodeKind.RESOLVED_ALTER_TABLE_STMT,
    types.ResolvedNodeKind.RESOLVED_DROP_STMT,
    types.ResolvedNodeKind.RESOLVED_BEGIN_STMT,
    types.ResolvedNodeKind.RESOLVED_COMMIT_STMT,
    types.ResolvedNodeKind.RESOLVED_ROLLBACK_STMT,
)


class _CompiledOnce:
    """In place of `wasmtime.Module` in the package: compiles its 28 MB once a checkout, for a minute of a processor.

    `make emulators` calls `compile_analyzer`. What was compiled lies beside the emulators, and is read within
    milliseconds by every process that follows.
    """

    @staticmethod
    def from_file(engine: Engine, path: str) -> Module:
        """The compiled module."""
        release = hashlib.sha256(
            f"{version('wasmtime')} {version('zetasql')} {os.uname()}".encode()
        ).hexdigest()
        kept = _CACHE / f"{release[:16]}.cwasm"
        _CACHE.mkdir(parents=True, exist_ok=True)
        with FileLock(kept.with_suffix(".lock")):
            if not kept.exists():
                part = kept.with_suffix(".part")
                part.write_bytes(Module.from_file(engine, path).serialize())
                part.rename(kept)
        return Module.deserialize_file(engine, str(kept))


wasm_client.Module = _CompiledOnce


def compile_analyzer() -> None:
    """Compile the analyser, unless this checkout has it."""
    ZetaSqlLocalService.get_instance()


@cache
def _language() -> types.LanguageOptions:
    language = types.LanguageOptions.maximum_features()
    language.product_mode = types.ProductMode.PRODUCT_EXTERNAL
    language.supported_statement_kinds = [*_STATEMENTS]
    language.enabled_language_features = [
        feature
        for feature in language.enabled_language_features
        if types.LanguageFeature(feature).name not in _NOT_IN_BIGQUERY
    ]
    return language


@cache
def _options() -> Any:
    return types.AnalyzerOptions(
        language_options=_language(),
        error_message_mode=types.ErrorMessageMode.ERROR_MESSAGE_ONE_LINE,
        default_timezone="UTC",
    ).to_proto()


class Rejected(Exception):
    """The analyser's reason for not accepting a statement, with the line that it points at."""

    def __init__(self, reason: str, sql: str) -> None:
        place = re.search(r" \[at (\d+):(\d+)\]$", reason)
        self.reason = reason[: place.start()] if place else reason
        self.line_number = int(place[1]) if place else None
        self.line = sql.splitlines()[self.line_number - 1].strip() if self.line_number else ""
        super().__init__(f"line {self.line_number}: {self.line}\n    {self.reason}" if place else reason)


@dataclass
class GoogleSqlJudge:
    """Analyses statements against the tables that it has been told of (`relation`, as SQL writes it, to columns)."""

    tables: dict[str, Columns] = field(default_factory=dict)

    def judge(self, sql: str, reads: Iterable[str] = ()) -> dict[str, str]:
        """Output columns of one statement that reads (or changes) the named tables.

        Only they are in the catalogue, for it travels with every statement. Empty for a statement without output.
        Raises `Rejected`, and `KeyError` for a table that nobody declared.
        """
        statement = _MAX_BY.sub(r"any_value(\2 having \1 \3)", sql.strip().rstrip(";"))
        request = types.AnalyzeRequest(
            sql_statement=statement, simple_catalog=self._catalogue(reads)
        ).to_proto()
        request.options.CopyFrom(_options())
        request.simple_catalog.builtin_function_options.language_options.CopyFrom(_options().language_options)
        try:
            # `Analyzer.analyze_statement` does this and makes an object of every node of the answer: twice the time.
            response = ZetaSqlLocalService.get_instance().wasm_client.call_grpc_func(
                "ZetaSqlLocalService_Analyze", request, local_service_pb2.AnalyzeResponse
            )
        except ServerError as error:
            raise Rejected(error.message, statement) from None
        return {
            output.name: type_name(output.column.type if output.HasField("column") else output.type)
            for output in _outputs(response.resolved_statement)
        }

    def evaluate(self, sql: str) -> list[object]:
        """The one row of a query without tables, computed by the language's reference implementation."""
        catalogue = self._catalogue(())
        catalogue.builtin_function_options = types.ZetaSQLBuiltinFunctionOptions(language_options=_language())
        options = types.AnalyzerOptions(language_options=_language(), default_timezone="UTC")
        builder = PreparedQuery.builder().set_sql(sql.strip().rstrip(";")).set_catalog(catalogue)
        with builder.set_analyzer_options(options).prepare() as query:
            # `PreparedQuery.execute` cannot read timestamps.
            response = ZetaSqlLocalService.get_instance().wasm_client.call_grpc_func(
                "ZetaSqlLocalService_EvaluateQuery",
                types.EvaluateQueryRequest(prepared_query_id=query.prepared_query_id).to_proto(),
                local_service_pb2.EvaluateQueryResponse,
            )
        [row] = response.content.table_data.row
        return [_python(cell) for cell in row.cell]

    def _catalogue(self, reads: Iterable[str]) -> types.SimpleCatalog:
        root = _catalogue("warehouse")
        root.named_type = [
            types.SimpleCatalog.NamedType(name=alias, type=_type(name)) for alias, name in _ALIASES.items()
        ]
        for relation in sorted(set(reads)):
            *parents, name = re.findall(r"[^.`]+", relation)
            catalogue = root
            for parent in parents:
                found = next((inner for inner in catalogue.catalog if inner.name == parent), None)
                if found is None:
                    found = _catalogue(parent)
                    catalogue.catalog.append(found)
                catalogue = found
            table = TableBuilder(name)
            for column, kind in self.tables[relation].items():
                table.add_column(column, _type(kind))
            catalogue.table.append(table.build())
        return root


def statements_of(script: str) -> list[str]:
    """The statements of a script, which end with a semicolon at the end of a line or before DDL."""
    return [sql.strip() for sql in re.split(r";[ \t]*(?:\n|$|(?=create ))", script) if sql.strip()]


def _catalogue(name: str) -> types.SimpleCatalog:
    return types.SimpleCatalog(name=name)


def _python(value: Any) -> object:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    held = getattr(value, kind)
    if kind == "array_value":
        return [_python(item) for item in held.element]
    if kind == "timestamp_value":
        return held.ToDatetime()
    return date(1970, 1, 1) + timedelta(days=held) if kind == "date_value" else held


def _outputs(node: Any) -> Iterable[Any]:
    """The columns that a resolved statement gives or defines; each class of statement has its base in `parent`."""
    fields = node.DESCRIPTOR.fields_by_name
    for name in ("output_column_list", "column_definition_list"):
        if name in fields:
            return getattr(node, name)
    inner = node.WhichOneof("node") if "node" in node.DESCRIPTOR.oneofs_by_name else None
    if inner is not None:
        return _outputs(getattr(node, inner))
    return _outputs(node.parent) if "parent" in fields else ()


def type_name(kind: Any) -> str:
    """A type as GoogleSQL writes it; `kind` is the message TypeProto."""
    if kind.type_kind == types.TypeKind.TYPE_ARRAY:
        return f"ARRAY<{type_name(kind.array_type.element_type)}>"
    if kind.type_kind == types.TypeKind.TYPE_STRUCT:
        fields = ", ".join(
            f"{part.field_name} {type_name(part.field_type)}" for part in kind.struct_type.field
        )
        return f"STRUCT<{fields}>"
    return _NAMES[types.TypeKind(kind.type_kind)]


def _type(name: str) -> types.Type:
    if name.startswith("STRUCT<"):
        fields = [part.split(" ", 1) for part in _parts(name[len("STRUCT<") : -1])]
        return types.Type(
            type_kind=types.TypeKind.TYPE_STRUCT,
            struct_type=types.StructType(
                field=[types.StructField(field_name=field, field_type=_type(kind)) for field, kind in fields]
            ),
        )
    if name.startswith("ARRAY<"):
        return types.Type(
            type_kind=types.TypeKind.TYPE_ARRAY,
            array_type=types.ArrayType(element_type=_type(name[len("ARRAY<") : -1])),
        )
    return types.Type(type_kind=_KINDS[name])


def _parts(listed: str) -> list[str]:
    """What stands between the commas that are inside no brackets."""
    parts, depth = [""], 0
    for character in listed:
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
