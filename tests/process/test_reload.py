"""`todo-api serve --reload`: what is edited is served, and what cannot be served does not stop what is."""

from pathlib import Path

import httpx

from openapi.contract import CONTRACT_FILE
from tests.support.contracts import project_with
from tests.support.running import ANY_CERTIFICATE, SECRET, ServeProcess, wait_until


def test_an_edited_contract_is_served_without_a_restart(database_url: str, tmp_path: Path) -> None:
    """A change of the contract replaces the workers; one that is wrong is logged in a line, and the contract before
    is served on."""
    text = CONTRACT_FILE.read_text()
    folder = project_with(text, tmp_path)
    contract = folder / "openapi" / "openapi.yaml"
    environment = {
        "DATABASE_URL": database_url,
        "AUTH_JWT_SECRET": SECRET.decode(),
        "PYTHONPATH": str(folder),
    }
    process = ServeProcess(cwd=folder, **environment)
    process.arguments = ("--reload", "--log-level", "error")

    def sentence() -> str:
        answer = httpx.get(
            f"{process.url}/api/demo/tasks", trust_env=False, verify=ANY_CERTIFICATE, timeout=30
        )
        return str(answer.json()["error"])

    with process:
        process.wait_until_live()
        assert "Unauthorized" == sentence()
        contract.write_text(text.replace("x-message: Unauthorized", "x-message: Who are you?"))
        wait_until(lambda: sentence() == "Who are you?", 120)
        contract.write_text("openapi: 3.0.3")
        output = process.process.stdout
        assert output is not None
        line = next(line for line in output if "openapi.yaml: " in line)
        assert "#/openapi: the version 3.0.3 is not supported; it must be 3.1.x" in line
        assert "Who are you?" == sentence()
        assert "Traceback" not in process.stop()[1]
