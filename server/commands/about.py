"""What the installation says of itself: `version`, `routes`, `doctor`, `completion`."""

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from openapi.bridge.document.operations import Operation
    from openapi.bridge.document.places import Json
    from server.product import LoadProduct


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.command()
@as_json
@click.pass_obj
def version(load: "LoadProduct", as_json: bool) -> None:
    """Print the version of the service, which is the contract's."""
    facts = {"name": load().name, "version": load().version}
    click.echo(json.dumps(facts) if as_json else " ".join(facts.values()))


@click.command()
@as_json
@click.pass_obj
def routes(load: "LoadProduct", as_json: bool) -> None:
    """List the operations, their handlers and who may call them."""
    rows = []
    contract = load().contract
    for operation in contract.operations.values():
        handler = load().find_handler(operation.id)
        name = f"{handler.__module__}.{contract.handler_names[operation.id]}" if handler else "(no handler)"
        rows.append((operation.method, operation.path, name, _access(operation, contract.document)))
    if as_json:
        members = ("method", "path", "handler", "access")
        click.echo(json.dumps([dict(zip(members, row, strict=True)) for row in rows], indent=2))
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


def _access(operation: "Operation", document: "Json") -> str:
    if not operation.secured:
        return "public"
    schemes = document["components"]["securitySchemes"]
    asked = [name for each in operation.security for name in each]
    kind = "credentials" if any(schemes[name].get("type") == "apiKey" for name in asked) else "token"
    token = f"{kind} of {{{operation.owner}}}" if operation.owner else f"any {kind}"
    alternatives = [
        " ".join(scope for scopes in each.values() for scope in scopes) for each in operation.security
    ]
    # Where one alternative asks for no scope, nobody needs one.
    return f"{token} with the scope {' or '.join(alternatives)}" if all(alternatives) else token


@click.command()
@as_json
@click.pass_obj
def doctor(load: "LoadProduct", as_json: bool) -> None:
    """Tell what is wrong with the set-up and what to do."""
    from server.doctor import examine

    findings = []
    for finding in examine(load):
        findings.append(finding)
        if not as_json:
            word, colour = ("warn", "yellow") if finding.is_warning else ("FAIL", "red")
            mark = click.style("ok  ", fg="green") if finding.healthy else click.style(word, fg=colour)
            click.echo(f"{mark} {finding.subject}: {finding.sentence}")
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    if not all(finding.healthy or finding.is_warning for finding in findings):
        sys.exit(1)


@click.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes this command in SHELL.

    \b
    bash: echo 'eval "$(todo-api completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(todo-api completion zsh)"' >> ~/.zshrc
    fish: todo-api completion fish > ~/.config/fish/completions/todo-api.fish
    """
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(context.find_root().command, {}, "todo-api", "_TODO_API_COMPLETE").source())
