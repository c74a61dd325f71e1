"""`python -m examples.library serve`: the commands of every service, for the library."""

from server.cli import run

if __name__ == "__main__":
    run("examples.library.product:library", "python -m examples.library")
