"""`python -m examples.library serve`: the commands of every service, for the library."""

from server.cli import run


def main() -> None:
    """The command of the library."""
    run("examples.library.product:library", "python -m examples.library")


if __name__ == "__main__":
    main()
