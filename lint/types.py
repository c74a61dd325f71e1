"""`python -m lint.types` prints the text of `openapi/types.py`; `make types` puts it in its place."""

import sys

from openapi.bridge.document.places import ContractError
from openapi.bridge.python_types import generate
from openapi.contract import contract

if __name__ == "__main__":
    try:
        sys.stdout.write(generate(contract()))
    except ContractError as error:
        sys.exit(f"openapi.yaml: {error}")
