"""`python -m examples.library serve`: every command of `todo-api`, for the library."""

from examples.library.product import library
from server.cli import main

if __name__ == "__main__":
    main(library, "python -m examples.library")
