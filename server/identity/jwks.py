"""An issuer's keys while the service runs: renewed, kept through a short outage, and given up when they are old."""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from openapi.bridge.failures import Unavailable
from server.identity.issuer import IssuerClient
from server.identity.keys import ISSUER_ALGORITHMS, JsonWebKeySet

log = logging.getLogger("todo_api")

FRESH_SECONDS = 5 * 60  # older keys are renewed while they go on serving
STALE_SECONDS = 10 * 60  # the longest that a key serves after the issuer has withdrawn it
RETRY_SECONDS = 30  # between two attempts to renew keys that still serve
RETRY_WITHOUT_KEYS_SECONDS = 1
UNKNOWN_KEY_SECONDS = 5  # between two fetches that tokens with an unknown key cause


class JwksStore:
    """The keys of one issuer. Belongs to one event loop, which it never blocks.

    Args:
        clock: seconds that never go back; tests pass their own.
    """

    algorithms = ISSUER_ALGORITHMS

    def __init__(self, issuer: IssuerClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._document = b""
        self._keys: JsonWebKeySet | None = None
        # When the last good fetch began, the last attempt ended, and a fetch for an unknown key last began.
        self._fetched_at = self._attempted_at = self._asked_at = -math.inf
        self._unknown: str | None = None
        self._renewal: asyncio.Task[bool] | None = None

    @property
    def age_seconds(self) -> float:
        """Seconds since the issuer was last asked with success; infinite while it never was."""
        return self._clock() - self._fetched_at

    @property
    def is_asking(self) -> bool:
        """Whether a question to the issuer is under way."""
        return self._renewal is not None and not self._renewal.done()

    @property
    def current(self) -> JsonWebKeySet | None:
        """The keys to verify with now, without waiting; None if there are none, or none young enough.

        Keys that are no longer fresh are renewed in the background.
        """
        age = self.age_seconds
        if FRESH_SECONDS <= age < STALE_SECONDS and self._clock() - self._attempted_at >= RETRY_SECONDS:
            self._renew()
        return self._keys if age < STALE_SECONDS else None

    async def asked_again(self, name: str) -> tuple[JsonWebKeySet, bool]:
        """The keys after asking the issuer for one that is not known, and whether it surely has no other.

        Everyone who asks meanwhile waits for the same fetch. It is not sure where that fetch failed or was begun for
        another name, or the issuer was asked so recently that it is spared.

        Args:
            name: what the unknown key is asked for by.

        Raises:
            Unavailable: if the issuer's keys cannot be had.
        """
        now = self._clock()
        keys = self.current
        is_joining = self.is_asking
        if not is_joining and keys is not None:
            if now - self._asked_at < UNKNOWN_KEY_SECONDS:
                return keys, name == self._unknown
            self._asked_at, self._unknown = now, None
        elif not is_joining and now - self._attempted_at < RETRY_WITHOUT_KEYS_SECONDS:
            raise Unavailable("the issuer's keys could not be had a moment ago")
        # Shielded, since a client that goes away must not end the fetch that others wait for.
        has_answered = await asyncio.shield(self._renew())
        keys = self.current
        if keys is None:
            raise Unavailable("the issuer's keys cannot be had")
        is_sure = has_answered and not is_joining
        if is_sure:
            self._unknown = name
        return keys, is_sure

    def _renew(self) -> asyncio.Task[bool]:
        if self._renewal is None or self._renewal.done():
            # The loop itself holds tasks only weakly.
            self._renewal = asyncio.get_running_loop().create_task(self._fetch())
        return self._renewal

    async def _fetch(self) -> bool:
        """Whether the issuer has given its keys."""
        # What the issuer answers may be as old as the question.
        asked_at = self._clock()
        try:
            document = await self._issuer.key_set()
            # The same document keeps the same set, and with it the tokens that were verified by it.
            if document != self._document or self._keys is None:
                keys = await asyncio.to_thread(JsonWebKeySet, document)
                log.info("the issuer's key set has changed: %d usable keys", keys.size)
                # A well-formed set without a usable key is believed: it is how an issuer withdraws them all.
                self._document, self._keys = document, keys if keys.size else None
            self._fetched_at = asked_at
            return True
        except Exception as error:
            # Whatever a foreign server does to us, the outcome is the same: its keys could not be had.
            log.warning("the issuer's keys could not be fetched: %s", str(error) or type(error).__name__)
            return False
        finally:
            self._attempted_at = self._clock()
