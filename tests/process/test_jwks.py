"""The issuer's keys over time: how they are fetched, how long they serve, and what a hostile issuer can do."""

import asyncio
import gzip
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from inspect import isawaitable
from pathlib import Path

import pytest

from openapi.bridge.failures import Unauthorized, Unavailable
from server.identity.bearer import BearerVerifier
from server.identity.claims import TokenRules
from server.identity.issuer import IssuerClient, trusted_address
from server.identity.jwks import JwksStore
from server.identity.keys import ISSUER_ALGORITHMS
from tests.support.issuer import AUDIENCE, Answer, Issuer, certificate, content, jwk_of, private_key, proven
from tests.support.played import played

MINUTE = 60
DAY = 24 * 60 * MINUTE
ED = private_key("EdDSA")


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Setting:
    """An issuer, a store of its keys on a hand-moved clock, and a verifier on that store."""

    def __init__(self, issuer: Issuer, fetch_seconds: float = 5) -> None:
        self.issuer = issuer
        self.clock = Clock()
        self.store = JwksStore(IssuerClient(issuer.url, None, fetch_seconds), clock=self.clock)
        self.verifier = BearerVerifier(self.store, TokenRules(issuer.name, AUDIENCE))

    async def user(self, token: str) -> str | None:
        return (await proven(self.verifier, token))["sub"]

    async def requests_become(self, number: int) -> None:
        """Waits until the issuer has been asked so often and the answer has been dealt with."""
        async with asyncio.timeout(10):
            while self.issuer.requests < number or self.store.is_asking:
                await asyncio.sleep(0.01)
        assert number == self.issuer.requests


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def setting(issuer: Issuer) -> Setting:
    return Setting(issuer)


@pytest.mark.parametrize("algorithm", ISSUER_ALGORITHMS)
@played
async def test_a_token_of_each_algorithm_is_verified(setting: Setting, algorithm: str) -> None:
    """A token of each algorithm is verified: the first after a lazy fetch, the next at once."""
    kind = "EdDSA" if algorithm == "Ed25519" else algorithm if algorithm[0] == "E" else "RS256"
    setting.issuer.keys = {"a": private_key(kind), "other": private_key("EdDSA", 2)}
    first, second = (setting.issuer.token("a", {"alg": algorithm}, sub=user) for user in ("alice", "bob"))
    assert "alice" == await setting.user(first)
    assert not isawaitable(proof := setting.verifier.verify(None, second))
    assert ("bob", 1) == (proof["sub"], setting.issuer.requests)


def slowly(handler: BaseHTTPRequestHandler) -> None:
    """Honest headers, then a byte every 0.1 s for ten seconds."""
    content(b"", Content_Length="100")(handler)
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def broken_off(handler: BaseHTTPRequestHandler) -> None:
    content(b'{"keys":[', Content_Length="5000")(handler)
    handler.close_connection = True


def not_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00\x01 what?\r\n\r\n" * 10)


HOSTILE: dict[str, Answer] = {
    "slow": slowly,
    "broken off": broken_off,
    "not HTTP": not_http,
    "huge": content({"keys": [], "padding": "x" * 1_000_000}),
    "HTML": content(b"<!doctype html><title>Sign in</title>", Content_Type="text/html"),
    "no content": content(b"", 204),
    "wrong type": content({"keys": {"ed": jwk_of(ED, kid="ed")}}),
    "error": content({"keys": [jwk_of(ED, kid="ed")]}, 500),
    "bomb": content(gzip.compress(b" " * 5_000_000), Content_Encoding="gzip"),
}
USELESS: dict[str, Answer] = {
    "empty": content({"keys": []}),
    "symmetric": content({"keys": [{"kty": "oct", "kid": "ed", "k": "AAAA"}]}),
}


@pytest.mark.parametrize("answer", [*HOSTILE, *USELESS])
@played
async def test_without_any_key_a_token_is_503(setting: Setting, answer: str) -> None:
    """Whatever a hostile issuer answers, a token that cannot be checked is Unavailable, in bounded time."""
    setting = Setting(setting.issuer, fetch_seconds=1)
    setting.issuer.answer = (HOSTILE | USELESS)[answer]
    token = setting.issuer.token()
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable) as error:
            await setting.user(token)
    assert 503 == error.value.status_code
    setting.issuer.answer = None
    setting.clock.now += 1
    assert "alice" == await setting.user(token)


@pytest.mark.parametrize("answer", HOSTILE)
@played
async def test_known_keys_serve_on_when_the_issuer_turns_bad(setting: Setting, answer: str) -> None:
    """A hostile answer to a renewal leaves the keys as they were."""
    setting = Setting(setting.issuer, fetch_seconds=1)
    await setting.user(setting.issuer.token())
    setting.issuer.answer = HOSTILE[answer]
    setting.clock.now += 9 * MINUTE
    for user in ("alice", "bob"):
        assert user == await setting.user(setting.issuer.token(sub=user))
        await setting.requests_become(2)
    assert 9 * MINUTE == setting.store.age_seconds


@pytest.mark.parametrize("stated", [True, False])
@played
async def test_a_huge_answer_is_not_read_to_its_end(setting: Setting, stated: bool) -> None:
    """The fetch hangs up soon after 1 MB of an answer of 200 MB, whether or not its size is stated."""
    sent = []

    def huge(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if stated:
            handler.send_header("Content-Length", "200000000")
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b" " * 1_000_000)
            sent.append(1)

    setting.issuer.answer = huge
    with pytest.raises(Unavailable):
        await setting.user(setting.issuer.token())
    # What the sockets' buffers on both sides hold counts as sent.
    assert 30 > len(sent)


@played
async def test_a_redirect_is_not_followed(setting: Setting) -> None:
    """Keys from where the issuer redirects to are not even fetched."""
    with Issuer() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            setting.issuer.answer = content(b"", status, Location=elsewhere.url)
            setting.clock.now += 1
            with pytest.raises(Unavailable):
                await setting.user(setting.issuer.token())
        assert (5, 0) == (setting.issuer.requests, elsewhere.requests)


@played
async def test_a_refused_connection_is_503_and_heals(issuer: Issuer, setting: Setting) -> None:
    """With the issuer's port closed a token is Unavailable, and good again a second after it opens."""
    token = issuer.token()
    issuer.stop()
    with pytest.raises(Unavailable):
        await setting.user(token)
    issuer.start()
    with pytest.raises(Unavailable):
        await setting.user(token)
    setting.clock.now += 1
    assert "alice" == await setting.user(token)
    assert 1 == issuer.requests


@played
async def test_a_malformed_token_is_401_even_without_keys(setting: Setting) -> None:
    """What no key could save is refused without asking the issuer."""
    for token in ("", "a.b.c", setting.issuer.token(headers={"crit": ["x"], "x": 1})):
        with pytest.raises(Unauthorized):
            await setting.user(token)
    assert 0 == setting.issuer.requests


@pytest.mark.parametrize("warm", [False, True])
@played
async def test_a_hundred_tokens_with_an_unknown_key_cause_one_fetch(setting: Setting, warm: bool) -> None:
    """Everyone who needs a new key waits for the same fetch, whether or not keys are known already."""
    if warm:
        await setting.user(setting.issuer.token())
    before = setting.issuer.requests
    setting.issuer.keys["new"] = private_key("EdDSA", 2)
    setting.issuer.open.clear()
    asked = [asyncio.create_task(setting.user(setting.issuer.token("new", sub=str(n)))) for n in range(100)]
    await asyncio.sleep(0.1)
    setting.issuer.open.set()
    assert [str(n) for n in range(100)] == await asyncio.gather(*asked)
    assert before + 1 == setting.issuer.requests


@played
async def test_tokens_with_known_keys_do_not_wait_for_a_fetch(setting: Setting) -> None:
    """While the issuer is being asked for an unknown key, others are verified at once."""
    await setting.user(setting.issuer.token())
    setting.issuer.open.clear()
    waiting = asyncio.create_task(setting.user(setting.issuer.token(headers={"kid": "unknown"})))
    await asyncio.sleep(0.1)
    assert "bob" == await setting.user(setting.issuer.token(sub="bob"))
    assert not waiting.done()
    setting.issuer.open.set()
    with pytest.raises(Unauthorized, match="no EdDSA key for kid 'unknown'"):
        await waiting


@played
async def test_made_up_names_cost_little_and_refuse_no_new_key(setting: Setting) -> None:
    """After a fetch for a name that the issuer does not know, it is spared for 5 seconds: that name stays 401, and any
    other is 503, which a client repeats, and not 401, for which it would fetch another token."""
    await setting.user(setting.issuer.token())
    made_up = setting.issuer.token(headers={"kid": "made up"})
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await setting.user(made_up)
    setting.issuer.keys["new"] = private_key("EdDSA", 2)
    new = setting.issuer.token("new")
    with pytest.raises(Unavailable):
        await setting.user(new)
    assert 2 == setting.issuer.requests
    setting.clock.now += 5
    assert "alice" == await setting.user(new)
    assert 3 == setting.issuer.requests


@played
async def test_an_unknown_name_is_503_while_the_issuer_is_away(setting: Setting) -> None:
    """Whether a key is new or made up cannot be known without the issuer; tokens of known keys are served on."""
    await setting.user(setting.issuer.token())
    setting.issuer.stop()
    with pytest.raises(Unavailable):
        await setting.user(setting.issuer.token(headers={"kid": "unknown"}))
    assert "bob" == await setting.user(setting.issuer.token(sub="bob"))


@pytest.mark.parametrize("named", [False, True])
@played
async def test_keys_without_a_name_can_be_changed_too(setting: Setting, named: bool) -> None:
    """Where keys have no name, a token whose signature fits no known key makes the service ask for a newer one."""
    setting.issuer.keys["new"] = private_key("EdDSA", 2)
    headers: dict[str, object] = {} if named else {"kid": ...}
    for kid in ("ed", "new"):
        setting.issuer.answer = content({"keys": [jwk_of(setting.issuer.keys[kid])]})
        assert "alice" == await setting.user(setting.issuer.token(kid, headers))
    with pytest.raises(Unavailable):
        await setting.user(setting.issuer.token("ed", headers, sub="bob"))
    setting.clock.now += 5
    with pytest.raises(Unauthorized):
        await setting.user(setting.issuer.token("ed", headers, sub="bob"))


@played
async def test_without_keys_the_issuer_is_asked_at_most_every_second(setting: Setting) -> None:
    """While there are no keys at all, one request in a second asks, and the others are 503 at once."""
    setting.issuer.answer = HOSTILE["error"]
    for number in range(1, 4):
        for _ in range(5):
            with pytest.raises(Unavailable):
                await setting.user(setting.issuer.token())
        assert number == setting.issuer.requests
        setting.clock.now += 1


@played
async def test_a_client_that_goes_away_does_not_end_the_fetch_of_others(setting: Setting) -> None:
    """Cancelling the request that began a fetch leaves the fetch to those who wait for it too."""
    setting.issuer.open.clear()
    first, second = (asyncio.create_task(setting.user(setting.issuer.token())) for _ in range(2))
    await asyncio.sleep(0.1)
    first.cancel()
    await asyncio.sleep(0.1)
    setting.issuer.open.set()
    assert "alice" == await second
    assert (True, 1) == (first.cancelled(), setting.issuer.requests)


@played
async def test_a_rotation_takes_effect_at_the_first_new_token(setting: Setting) -> None:
    """A new key is known as soon as a token names it, and the old one serves while it is published."""
    old = setting.issuer.token()
    assert "alice" == await setting.user(old)
    setting.issuer.keys["new"] = private_key("EdDSA", 2)
    assert "alice" == await setting.user(setting.issuer.token("new"))
    assert "alice" == await setting.user(old)
    assert 2 == setting.issuer.requests


@played
async def test_keys_may_share_a_name(setting: Setting) -> None:
    """Of keys with one name, as an issuer may have them while it changes them, each is tried."""
    keys = [jwk_of(key, kid="ed") for key in (private_key("EdDSA", 2), ED)]
    setting.issuer.answer = content({"keys": keys})
    assert "alice" == await setting.user(setting.issuer.token())


@played
async def test_a_withdrawn_key_ends_its_tokens_even_cached_ones(setting: Setting) -> None:
    """Once the renewed set lacks a key, tokens that it verified are refused, and others are not."""
    setting.issuer.keys["new"] = private_key("EdDSA", 2)
    old, new = setting.issuer.token("ed"), setting.issuer.token("new")
    assert ["alice"] * 2 == [await setting.user(old), await setting.user(new)]
    del setting.issuer.keys["ed"]
    setting.clock.now += 5 * MINUTE
    assert "alice" == await setting.user(old)
    await setting.requests_become(2)
    assert "alice" == await setting.user(new)
    with pytest.raises(Unauthorized, match="no EdDSA key for kid 'ed'"):
        await setting.user(old)


@played
async def test_a_set_without_a_usable_key_withdraws_them_all(setting: Setting) -> None:
    """An issuer that publishes an empty set is believed: its tokens are Unavailable until it has keys."""
    token = setting.issuer.token()
    assert "alice" == await setting.user(token)
    setting.issuer.answer = USELESS["empty"]
    setting.clock.now += 5 * MINUTE
    assert "alice" == await setting.user(token)
    await setting.requests_become(2)
    setting.clock.now += 1
    with pytest.raises(Unavailable):
        await setting.user(token)


@played
async def test_keys_are_renewed_in_the_background_after_five_minutes(setting: Setting) -> None:
    """Fresh keys are not fetched again; older ones are, while tokens, cached or not, do not wait."""
    token = setting.issuer.token()
    first = await proven(setting.verifier, token)
    setting.clock.now += 5 * MINUTE - 1
    assert first is setting.verifier.verify(None, token)
    await asyncio.sleep(0.1)
    assert 1 == setting.issuer.requests
    setting.clock.now += 1
    setting.issuer.open.clear()
    assert first is setting.verifier.verify(None, token)
    setting.issuer.open.set()
    await setting.requests_become(2)
    assert 0 == setting.store.age_seconds


@played
async def test_an_unchanged_set_keeps_verified_tokens(setting: Setting) -> None:
    """A renewal that brings the same document does not throw the cache away."""
    token = setting.issuer.token()
    first, keys = await proven(setting.verifier, token), setting.store.current
    setting.clock.now += 9 * MINUTE
    assert first is setting.verifier.verify(None, token)
    await setting.requests_become(2)
    assert (first, keys) == (setting.verifier.verify(None, token), setting.store.current)
    assert first is setting.verifier.verify(None, token)


@played
async def test_while_the_issuer_is_down_it_is_asked_every_30_seconds(setting: Setting) -> None:
    """Failed renewals are repeated every 30 seconds and not with every request."""
    token = setting.issuer.token()
    await setting.user(token)
    setting.issuer.answer = HOSTILE["error"]
    setting.clock.now += 5 * MINUTE
    for number in range(2, 5):
        for second in (0, 15, 29.9):
            setting.clock.now += second - (setting.clock.now - 1000) % 30
            assert "alice" == await setting.user(token)
            await setting.requests_become(number)
        setting.clock.now += 0.1


@played
async def test_keys_serve_for_10_minutes_without_the_issuer_and_no_longer(setting: Setting) -> None:
    """With the issuer away tokens, cached or not, serve for 10 minutes, since a key may have been withdrawn; then they
    are 503 until it is back."""
    token = setting.issuer.token()
    await setting.user(token)
    setting.issuer.stop()
    setting.clock.now += 10 * MINUTE - 1
    assert "alice" == await setting.user(token)
    setting.clock.now += 1
    for known in (token, setting.issuer.token(sub="bob")):
        with pytest.raises(Unavailable):
            await setting.user(known)
    setting.issuer.start()
    setting.clock.now += 1
    assert "alice" == await setting.user(token)
    assert 0 == setting.store.age_seconds


@played
async def test_after_a_quiet_day_the_issuer_is_asked_first(setting: Setting) -> None:
    """A token of a key that was withdrawn long ago does not pass while the keys are being renewed."""
    withdrawn = setting.issuer.token(exp=int(time.time()) + 2 * DAY)
    await setting.user(withdrawn)
    setting.issuer.keys = {"new": private_key("EdDSA", 2)}
    setting.clock.now += DAY
    with pytest.raises(Unauthorized):
        await setting.user(withdrawn)
    assert 2 == setting.issuer.requests


@played
async def test_the_age_of_the_keys_is_known(setting: Setting) -> None:
    """The age counts from the last good answer, and is infinite before the first."""
    assert float("inf") == setting.store.age_seconds
    await setting.user(setting.issuer.token())
    setting.clock.now += 7
    assert 7 == setting.store.age_seconds == setting.verifier.keys.age_seconds


@played
async def test_a_large_key_set_does_not_stop_the_loop(setting: Setting) -> None:
    """While thousands of keys are read, other work goes on."""
    size = 7000
    setting.issuer.answer = content({"keys": [jwk_of(ED, kid=str(n)) for n in range(size)]})
    fetch, ticks = asyncio.create_task(setting.store.asked_again("any")), 0
    while not fetch.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert size == fetch.result()[0].size
    assert 10 <= ticks


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://issuer.example",
        "https://10.0.0.7:8443/.well-known/jwks.json?tenant=a",
        "http://localhost:3000/api/auth/jwks",
        "http://127.9.9.9:1/jwks",
        "http://[::1]:3000/jwks",
    ],
)
def test_an_https_or_loopback_address_is_taken(url: str) -> None:
    """The keys may come over https from anywhere, and over http from this machine."""
    assert trusted_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.example/jwks",
        "https:///jwks",
        "http://issuer.example/jwks",
        "http://0.0.0.0/jwks",
        "http://127.0.0.1.example/jwks",
        "http://2130706433/jwks",
        "http://127.0.0.1@issuer.example/jwks",
        "https://user:secret-word@issuer.example/jwks",
        "file:///etc/jwks.json",
        "https://issuer.example:port/jwks",
        "https://issuer.example:65536/jwks",
        "https://a\nb",
        "http://[::1",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    """An address that others could tamper with is refused in one line that does not repeat it."""
    with pytest.raises(ValueError, match=r"^the address must begin with https://.*$") as error:
        trusted_address(url)
    assert "secret-word" not in str(error.value)


def test_https_needs_a_certificate_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys come over https from a server whose certificate is trusted, and from no other."""
    tls, authority = certificate(tmp_path)

    async def user(issuer: Issuer) -> str | None:
        return await Setting(issuer).user(issuer.token())

    with Issuer(tls) as issuer:
        with pytest.raises(Unavailable):
            asyncio.run(user(issuer))
        assert 0 == issuer.requests
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert "alice" == asyncio.run(user(issuer))


@played
async def test_a_loopback_issuer_is_asked_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    """A proxy from the environment never sees what is fetched over http."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert "alice" == await setting.user(setting.issuer.token())
