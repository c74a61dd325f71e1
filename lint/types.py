"""`python -m lint.types FILE` prints the Python types of the contract in FILE; `make types` puts them in place."""

import sys
from pathlib import Path

from openapi.bridge.contract import Contract
from openapi.bridge.document.places import ContractError
from openapi.bridge.python_types import generate

if __name__ == "__main__":
    file = Path(sys.argv[1])
    try:
        sys.stdout.write(generate(Contract.load(file)))
    except ContractError as error:
        sys.exit(f"{file.name}: {error}")
