"""Checks of each service that its contract is sound, that every statement is about one owner, and that the migrations
make what the contract asks for; `make lint` runs it."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from pathlib import Path
from types import ModuleType
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from db import lists, statements
from db.admin.migrate import MigrationError
from db.admin.purge import DROP_EXPIRED
from db.driver.ownership import OwnershipError
from db.embedded.cluster import embedded_postgres
from examples.library import statements as library_statements
from examples.library.product import library
from lint import refused_forms, scoping, sharding
from openapi.bridge.document.places import ContractError
from openapi.contract import contract
from server.product import LoadProduct
from server.todo import todo


def check_all() -> None:
    """Checks the todo service and the example; ends with one line and the status 1 at the first fault."""
    check_product(todo, (statements, lists), choices(), shards=True)
    check_product(library, (library_statements,), {})


def check_product(
    load: LoadProduct,
    modules: Sequence[ModuleType],
    choices: Mapping[str, Sequence[Any]],
    shards: bool = False,
) -> None:
    """Validates the contract with openapi-spec-validator, which finds more than a start must refuse; migrates a fresh
    PostgreSQL and compares it with the models, whose limits are the contract's; has it plan every statement.

    Args:
        choices: what the parameters of the statements can be (`lint.scoping.statements`).
        shards: whether the service is one for Citus too.
    """
    try:
        product = load()
        for error in OpenAPIV31SpecValidator(product.contract.document).iter_errors():
            sys.exit(f"openapi.yaml: {'/'.join(map(str, error.absolute_path))}: {error.message}")
        print(f"{product.name}: {len(product.contract.operations)} operations: the contract is sound.")
        with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as url:
            product.tables.migrations.upgrade(url)
            product.tables.migrations.check(url)
            print("The migrations make what the contract asks for.")
            made = [each for module in modules for each in scoping.statements(module, choices)]
            for fault in scoping.scoping_faults(url, product.tables.metadata, made):
                sys.exit(fault)
            print(f"{len(made)} statements: each reaches only the rows of its owner.")
            if shards:
                _check_for_citus(url, modules)
    except ContractError as error:
        sys.exit(f"openapi.yaml: {error}")
    except (MigrationError, OwnershipError) as error:
        sys.exit(str(error))


def _check_for_citus(url: str, modules: Sequence[ModuleType]) -> None:
    made = [each for module in modules for each in scoping.statements(module, choices(most=1))]
    made += [("db.admin.purge.DROP_EXPIRED", each) for each in DROP_EXPIRED]
    made = [(origin, each) for origin, each in made if refused_forms.changes_rows(each)]
    for fault in chain(sharding.sharding_faults(url), refused_forms.form_faults(url, made)):
        sys.exit(fault)
    print(
        "Citus: each table is distributed by its owner, keys hold the owner, each message of the migrations is one"
    )
    print(
        f"command, and no form that Citus 13.2 was seen to refuse is in the {len(made)} statements that change rows."
    )


def choices(most: int | None = None) -> dict[str, list[tuple[str, ...]]]:
    """What the parameters of our statements can be: some of the members of a task that a client may set.

    Args:
        most: how many of them at once.
    """
    members = sorted(contract().schema("TaskUpdate")["properties"])
    return {
        "fields": [
            some for size in range(1, (most or len(members)) + 1) for some in combinations(members, size)
        ]
    }


if __name__ == "__main__":
    check_all()
