"""Checks that the contract is sound, that every statement is about one owner, that the migrations make what the
contract asks for and that Citus would take both; `make lint` runs it."""

import sys
import tempfile
from itertools import combinations
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from db import lists, statements
from db.admin.migrate import MigrationError
from db.driver.ownership import OwnershipError
from db.embedded.cluster import embedded_postgres
from db.migrations import migrations
from db.models import metadata
from lint import scoping, sharding
from openapi.bridge.document.places import ContractError
from openapi.contract import contract


def main() -> None:
    """Validates the contract with openapi-spec-validator, which finds more than a start must refuse; migrates a fresh
    PostgreSQL and compares it with the models, whose limits are the contract's."""
    try:
        for error in OpenAPIV31SpecValidator(contract().document).iter_errors():
            sys.exit(f"openapi.yaml: {'/'.join(map(str, error.absolute_path))}: {error.message}")
        print(f"{len(contract().operations)} operations: the contract is sound.")
        with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as url:
            migrations.upgrade(url)
            migrations.check(url)
            print("The migrations make what the contract asks for.")
            made = [each for module in (statements, lists) for each in scoping.statements(module, choices())]
            for fault in scoping.faults(url, metadata, made):
                sys.exit(fault)
            print(f"{len(made)} statements: each reaches only the rows of its owner.")
            for fault in sharding.faults(url, made):
                sys.exit(fault)
        print("Citus can shard what they make by user, and run every statement on it.")
    except ContractError as error:
        sys.exit(f"openapi.yaml: {error}")
    except (MigrationError, OwnershipError) as error:
        sys.exit(str(error))


def choices() -> dict[str, list[tuple[str, ...]]]:
    """What the parameters of our statements can be: some of the members of a task that a client may set."""
    members = sorted(contract().schema("TaskUpdate")["properties"])
    return {"fields": [some for size in range(1, len(members) + 1) for some in combinations(members, size)]}


if __name__ == "__main__":
    main()
