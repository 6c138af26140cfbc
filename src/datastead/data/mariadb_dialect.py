"""SQLAlchemy's MariaDB, with the types and orders that the other databases have."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler, MySQLTypeCompiler
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.dialects.mysql.mysqldb import MySQLCompiler_mysqldb
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

from datastead.data.mariadb_reflection import COLLATION


class _Compiler(MySQLCompiler_mysqldb):
    """MariaDB has no NULLS FIRST and NULLS LAST: whether there is a value is sorted by before."""

    def visit_nulls_last_op_unary_modifier(self, unary: Any, _operator: Any, **options: Any) -> str:
        return f"{self.process(unary.element.element, **options)} IS NULL, {self.process(unary.element, **options)}"

    def visit_nulls_first_op_unary_modifier(self, unary: Any, _operator: Any, **options: Any) -> str:
        inner = self.process(unary.element.element, **options)
        return f"{inner} IS NULL DESC, {self.process(unary.element, **options)}"


class _DDLCompiler(MySQLDDLCompiler):
    """Tables compare text exactly, whatever the database's default is."""

    def post_create_table(self, table: sa.Table) -> str:
        return f"{super().post_create_table(table)} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={COLLATION}"


class _TypeCompiler(MySQLTypeCompiler):
    """Types without a small limit, and moments with their microseconds."""

    def visit_text(self, type_: Any, **kw: Any) -> str:  # noqa: ARG002  SQLAlchemy\'s
        return "LONGTEXT"

    def visit_large_binary(self, type_: Any, **kw: Any) -> str:  # noqa: ARG002  SQLAlchemy\'s
        return "LONGBLOB"

    def visit_float(self, type_: Any, **kw: Any) -> str:  # noqa: ARG002  SQLAlchemy\'s
        return "DOUBLE"

    def visit_datetime(self, type_: Any, **kw: Any) -> str:  # noqa: ARG002  SQLAlchemy\'s
        return "DATETIME(6)"

    def visit_time(self, type_: Any, **kw: Any) -> str:  # noqa: ARG002  SQLAlchemy\'s
        return "TIME(6)"

    def visit_TIMESTAMP(self, type_: Any, **kw: Any) -> str:  # noqa: ARG002, N802  SQLAlchemy's
        return "TIMESTAMP(6)"


class MariadbDialect(MariaDBDialect, MySQLDialect_pymysql):
    """For statements and for tables, with a connection and without one."""

    supports_statement_cache = True
    statement_compiler = _Compiler
    ddl_compiler = _DDLCompiler
    type_compiler_cls = _TypeCompiler
    server_version_info = (10, 6)
    _support_default_function = True
    _support_float_cast = True


sa.dialects.registry.register("mariadb.datastead", __name__, "MariadbDialect")
