"""The questions of ``queries`` in ClickHouse's SQL: its types, its literals, its LIKE, and FINAL. No I/O here.

A backslash means something twice there: in a literal, and in the pattern of LIKE, which knows no other escape and no
ESCAPE. Values stand in the text as literals: nobody but `literal` writes one.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ClauseElement, Integer, Table, select
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import GenericTypeCompiler, SQLCompiler

from asterisk_sip.errors import StoreError

from .queries import AnyAttempt
from .schema import attempts, calls

REPLACING = frozenset({"calls", "attempts", "open_calls", "gaps", "listened"})
"""Tables in which a row may stand more than once until ClickHouse has merged them: they are read with FINAL."""


@compiles(AnyAttempt, "clickhouse")
def _tried(condition: AnyAttempt, compiler: SQLCompiler, **kw: Any) -> str:
    """ClickHouse answers this many times faster than a subquery that looks at the row outside."""
    calls_tried = select(attempts.c.call_id).where(condition.fits)
    return compiler.process(calls.c.id.in_(calls_tried), **kw)


def literal(value: str | int) -> str:
    """Return a value as it stands in a statement."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)


def text_of(statement: ClauseElement) -> str:
    """Return a statement with its values in it."""
    return str(statement.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))


class _Types(GenericTypeCompiler):
    def visit_BIGINT(self, *_: Any, **__: Any) -> str:  # noqa: N802  # SQLAlchemy's name
        return "Int64"


class _Compiler(SQLCompiler):
    def render_literal_value(self, value: Any, type_: Any) -> str:
        if isinstance(type_, Integer) and isinstance(value, int):
            return literal(value)
        if isinstance(value, str):
            return literal(value)
        raise StoreError(f"a value of {type(value).__name__} is not asked for in ClickHouse")

    def visit_like_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:  # noqa: ARG002  # its name is SQLAlchemy's
        return f"{self.process(binary.left, **kw)} LIKE {self.process(binary.right, **kw)}"

    def visit_floordiv_binary(self, binary: Any, operator: Any, **kw: Any) -> str:  # noqa: ARG002  as SQLAlchemy calls it
        return f"intDiv({self.process(binary.left, **kw)}, {self.process(binary.right, **kw)})"  # / gives a fraction

    def visit_min_func(self, fn: Any, **kw: Any) -> str:
        return f"minOrNull{self.function_argspec(fn, **kw)}"  # min of nothing is 0

    def visit_table(self, table: Table, asfrom: bool = False, **kw: Any) -> str:  # type: ignore[override]  # the rest is passed on
        text = str(super().visit_table(table, asfrom=asfrom, **kw))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
        return f"{text} FINAL" if asfrom and table.name in REPLACING else text


class _Dialect(DefaultDialect):
    name = "clickhouse"
    statement_compiler = _Compiler
    type_compiler_cls = _Types
    supports_native_boolean = True


_DIALECT = _Dialect()
