"""Texts of each format that JSON Schema and OpenAPI's registry of formats name."""

_WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
_ADDRESSES = (*(f"{word}@example.com" for word in _WORDS), "a@b.co")
_HOSTS = (*(f"{word}.example.com" for word in _WORDS), "b.co")
_URIS = (*(f"https://example.com/{word}" for word in _WORDS), "http://b.co")
_PATHS = tuple(f"/{word}" for word in _WORDS)
# Each may be made longer by its last character, Base64 by its first.
SAMPLES: dict[str, tuple[str, ...]] = {
    "date-time": (
        *(f"2026-01-{day:02}T09:00:00Z" for day in range(1, 21)),
        *(
            f"2026-01-01T09:00:00{rest}"
            for rest in (".000Z", "+00:00", ".000000Z", ".000+00:00", ".000000+00:00")
        ),
    ),
    "date": tuple(f"2026-01-{day:02}" for day in range(1, 21)),
    "time": tuple(f"{hour:02}:00:00Z" for hour in range(9, 20)),
    "duration": ("P1D", "PT1H", "P1W"),
    "email": _ADDRESSES,
    "idn-email": _ADDRESSES,
    "hostname": _HOSTS,
    "idn-hostname": _HOSTS,
    "ipv4": tuple(f"192.0.2.{number}" for number in range(1, 11)),
    "ipv6": tuple(f"2001:db8::{number}" for number in range(1, 10)),
    "uri": _URIS,
    "uri-reference": _PATHS,
    "iri": _URIS,
    "iri-reference": _PATHS,
    "uri-template": tuple(f"{path}/{{id}}" for path in _PATHS),
    "uuid": tuple(f"6f1c2f0e-5d3a-4b7e-9c1d-0000000000{number:02}" for number in range(1, 21)),
    "json-pointer": _PATHS,
    "relative-json-pointer": ("0", "1", "1/alpha"),
    "regex": ("^a", "^b", "^c"),
    "byte": ("dGV4dA==", "dGV4dDE=", "dGV4dDI="),
}
