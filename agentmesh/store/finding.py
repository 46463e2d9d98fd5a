"""Where one text is in another, as each database says it."""

from typing import Any

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class found_at(FunctionElement[int]):
    """The place of the second text in the first, letter by letter, from 1; 0 where it is not."""

    inherit_cache = True
    type = Integer()


@compiles(found_at)
def _in_sqlite(element: found_at, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(found_at, "postgresql")
def _in_postgres(element: found_at, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"
