"""`python -m` in a process of its own that need not import the libraries first, which takes most of a short command.

A process that has imported them, and nothing of ours, is forked for each command. As a program this file is that one.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from functools import cache
from pathlib import Path

LIBRARIES = "alembic.command connexion flask_swagger_ui jiter jsonschema_rs jwt orjson sqlalchemy"
SECONDS = 120

_one_at_a_time = threading.Lock()


def run_module(
    module: str, *arguments: str, cwd: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module` to its end, in this environment and no other; a signal ends it after two minutes."""
    command = [module, *arguments]
    with (
        tempfile.TemporaryFile("w+") as asked,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        json.dump([command, str(cwd), environment], asked)
        asked.seek(0)
        with _one_at_a_time:
            forks, _ = _start()
            socket.send_fds(forks, [b"."], [asked.fileno(), out.fileno(), err.fileno()])
            status = int(forks.recv(8))
        printed = [(file.seek(0), file.read().decode())[1] for file in (out, err)]
    return subprocess.CompletedProcess(command, status, *printed)


@cache
def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Starts the process that is forked, which ends with this one, and gives what to ask it on."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, __file__, str(theirs.fileno())]
        return ours, subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)


def _fork_as_asked(asked: socket.socket) -> bool:
    """True in each fork, which is ready to run its command; False in the process that is forked, at its end."""
    while files := socket.recv_fds(asked, 1, 3)[1]:
        if os.fork() == 0:
            asked.close()
            _become(*files)
            return True
        for file in files:
            os.close(file)
        asked.send(b"%d" % os.waitstatus_to_exitcode(os.wait()[1]))
    return False


def _become(asked: int, out: int, err: int) -> None:
    with open(asked) as file:
        sys.argv, cwd, environment = json.load(file)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, max(out, err) + 1)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:1] = [cwd, *environment.get("PYTHONPATH", "").split(":")]
    signal.alarm(SECONDS)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in LIBRARIES.split():
            importlib.import_module(library)
    # The end of a fork would otherwise search and copy all that the libraries have made, which takes half a second.
    gc.freeze()
    if _fork_as_asked(socket.socket(fileno=int(sys.argv[1]))):
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
