"""`python -m examples.library serve`: the commands of every service, for the library."""

from typing import TYPE_CHECKING

from server.cli import run

if TYPE_CHECKING:
    from server.product import Product


def load() -> "Product":
    """The library; it is imported by the commands that need it, so that the others answer at once."""
    from examples.library.product import library

    return library()


if __name__ == "__main__":
    run(load, "python -m examples.library")
