"""`$filter` as a condition on a view, by odata-query: everything a user writes becomes a bound parameter."""

from __future__ import annotations

from datetime import datetime
from operator import and_, eq, ge, gt, le, lt
from typing import Any

from odata_query import ast
from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser  # type: ignore[attr-defined,unused-ignore]
from odata_query.sqlalchemy.core import AstToSqlAlchemyCoreVisitor
from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    Column,
    ColumnElement,
    Table,
    false,
    func,
    literal,
    not_,
)
from sqlalchemy.sql.elements import BooleanClauseList
from sqlalchemy.types import Uuid

from app.odata.errors import bad, not_implemented

#: Characters of a filter, and how deep its parentheses may go.
LONGEST = 4000
DEEPEST = 60


class _Visitor(AstToSqlAlchemyCoreVisitor):
    """Conditions in SQLAlchemy's core, with what odata-query leaves to its users."""

    def __init__(self, table: Table) -> None:
        self.table: Any = table  # typed as a class where it comes from

    def visit_GUID(self, node: ast.GUID) -> Any:
        """A GUID, compared with a column of that type."""
        return literal(node.py_val, Uuid())

    def visit_NotEq(self, node: ast.NotEq) -> Any:
        """In OData null is not equal to any value; in SQL it would be neither equal nor unequal."""
        return lambda left, right: left.is_distinct_from(right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        """`not`: a comparison with null is false in OData, so that it holds here; in SQL it would be null."""
        if not isinstance(node.op, ast.Not):
            return super().visit_UnaryOp(node)
        return not_(func.coalesce(self.visit(node.operand), false()))

    def func_matchespattern(self, field: Any, pattern: Any) -> Any:
        """Not offered: an expression of a user could keep the database busy."""
        raise not_implemented("matchesPattern is not offered")

    def _substr_function(self, field: Any, substr: Any, func: str) -> Any:
        """contains, startswith, endswith: `%` and `_` are themselves."""
        if not isinstance(substr, ast.String):
            raise bad(f"{func} takes a text as its second argument")
        return getattr(self.visit(field), func)(substr.py_val, autoescape=True)


def condition(table: Table, text: str) -> ColumnElement[bool]:
    """The condition a filter means. Raises ODataError for one that can't be understood."""
    if len(text) > LONGEST:
        raise bad(f"$filter is longer than {LONGEST} characters")
    if text.count("(") > DEEPEST:
        raise bad(f"$filter has more than {DEEPEST} parentheses")
    try:
        made = _Visitor(table).visit(_parse(text))
    except NotImplementedError:
        raise not_implemented("$filter can't follow relations: filter the related set itself") from None
    except ODataException as error:
        raise bad(f"$filter: {_said(error)}") from None
    except (RecursionError, ValueError, TypeError, AttributeError, OverflowError):
        raise bad("$filter is not understood") from None
    if not isinstance(made, ColumnElement):
        raise bad("$filter is no condition")
    return made


def earliest(where: ColumnElement[bool], column: Column[Any]) -> datetime | None:
    """No row that fulfils a condition is earlier by `column`; None: the condition does not say it plainly."""
    if isinstance(where, BooleanClauseList) and where.operator is and_:
        found = [earliest(part, column) for part in where.clauses]
        return max((each for each in found if each is not None), default=None)
    if not isinstance(where, BinaryExpression):
        return None
    for one, other, operators in (
        (where.left, where.right, (ge, gt, eq)),
        (where.right, where.left, (le, lt, eq)),
    ):
        if one is column and isinstance(other, BindParameter) and where.operator in operators:
            value = other.value
            return value if isinstance(value, datetime) and value.tzinfo is not None else None
    return None


def _parse(text: str) -> Any:
    return ODataParser().parse(ODataLexer().tokenize(text))


def _said(error: ODataException) -> str:
    return str(error)[:300] or type(error).__name__
