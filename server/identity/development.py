"""The secret that signs tokens in development, where nobody else's can be verified."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from server.identity.keys import MIN_SECRET_BYTES
from server.settings import SettingsError


def development_secret(data_dir: Path) -> bytes:
    """The secret of development mode, kept in `data_dir/secret` and made at the first call.

    Every process that asks gets the same, however many ask at once.

    Returns:
        64 hexadecimal digits as ASCII bytes, so that the file's text also serves as AUTH_JWT_SECRET.

    Raises:
        SettingsError: if the file cannot be had, may be read by other users, or holds too little.
    """
    path = data_dir / "secret"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_secret(path)
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read().strip()
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read or made ({error.strerror}); DATA_DIR must be a folder of this user"
        ) from None
    if mode & 0o077:
        raise SettingsError(
            f"{path} is open to other users; close it (chmod 600), or remove it to get a new one"
        )
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsError(f"{path} holds less than {MIN_SECRET_BYTES} bytes; remove it to get a new one")
    return secret


def _make_secret(path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix="secret.") as draft:
        draft.write(secrets.token_hex(32).encode() + b"\n")
        draft.flush()
        os.fsync(draft.fileno())
        # A link appears whole and never replaces another process's, which a rename would.
        with suppress(FileExistsError):
            os.link(draft.name, path)
