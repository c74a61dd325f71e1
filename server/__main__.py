"""`python -m server` is the command `todo-api`."""

from server.cli import main

if __name__ == "__main__":
    main()
