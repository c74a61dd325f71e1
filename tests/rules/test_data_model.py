"""The page on the data model shows the tables as the models have them, and the policies as the database has them."""

import psycopg2

from db.driver.ownership import owners
from db.models import metadata
from tests.support.documentation import blocks_of_code, code, rows
from tests.support.running import PROJECT

PAGE = PROJECT / "docs/data-model.md"


def diagram() -> str:
    """The tables and their foreign keys in Mermaid's words."""
    lines = ["erDiagram"]
    for table in metadata.sorted_tables:
        lines += [
            f"    {key.referred_table.name} ||--o{{ {table.name} : {key.column_keys[0]}"
            for key in table.foreign_key_constraints
        ]
    for table in metadata.sorted_tables:
        lines.append(f"    {table.name} {{")
        for column in table.columns:
            kind = str(column.type.compile()).lower().replace("datetime", "timestamptz")
            marks = ["PK"] if column.primary_key else []
            marks += ["FK"] if column.foreign_keys else []
            note = ' "or NULL"' if column.nullable else ""
            lines.append(f"        {kind} {column.name}{' ' * bool(marks)}{', '.join(marks)}{note}")
        lines.append("    }")
    return "\n".join(lines) + "\n"


def test_the_diagram() -> None:
    """The diagram is drawn from the models."""
    assert diagram() == blocks_of_code(PAGE, "mermaid")[0]


def test_the_constraints_and_indexes() -> None:
    """The table names every constraint and index of the models, each beside its table, and no other."""
    expected = {
        (table.name, str(each.name))
        for table in metadata.sorted_tables
        for each in [*table.constraints, *table.indexes]
        if each.name is not None
    }

    assert expected == {
        (code(cells[0])[0], name)
        for cells in rows(PAGE, "Constraints and indexes")
        for name in code(cells[1])
    }


def test_the_policies(database_url: str) -> None:
    """The table names every policy, which the database has after the migrations, and every table has its owner's."""
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema()")
        found = set(cursor.fetchall())
    connection.close()

    assert found == {(code(cells[0])[0], code(cells[1])[0]) for cells in rows(PAGE, "Policies")}
    assert {(table.name, f"{table.name}_own") for table in owners(metadata)} <= found
