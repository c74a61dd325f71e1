"""A few texts of each format that JSON Schema and OpenAPI's registry of formats name."""

_WORDS = ("alpha", "beta", "gamma", "delta", "epsilon")

SAMPLES: dict[str, tuple[str, ...]] = {
    "date-time": tuple(f"2026-01-{day:02}T09:00:00Z" for day in range(1, 21)),
    "date": tuple(f"2026-01-{day:02}" for day in range(1, 21)),
    "time": tuple(f"{hour:02}:00:00Z" for hour in range(9, 20)),
    "duration": ("P1D", "PT1H", "P1W"),
    "email": tuple(f"{word}@example.com" for word in _WORDS),
    "idn-email": tuple(f"{word}@example.com" for word in _WORDS),
    "hostname": tuple(f"{word}.example.com" for word in _WORDS),
    "idn-hostname": tuple(f"{word}.example.com" for word in _WORDS),
    "ipv4": tuple(f"192.0.2.{number}" for number in range(1, 11)),
    "ipv6": tuple(f"2001:db8::{number}" for number in range(1, 10)),
    "uri": tuple(f"https://example.com/{word}" for word in _WORDS),
    "uri-reference": tuple(f"/{word}" for word in _WORDS),
    "iri": tuple(f"https://example.com/{word}" for word in _WORDS),
    "iri-reference": tuple(f"/{word}" for word in _WORDS),
    "uri-template": tuple(f"/{word}/{{id}}" for word in _WORDS),
    "uuid": tuple(f"6f1c2f0e-5d3a-4b7e-9c1d-0000000000{number:02}" for number in range(1, 21)),
    "json-pointer": tuple(f"/{word}" for word in _WORDS),
    "relative-json-pointer": ("0", "1", "1/alpha"),
    "regex": ("^a", "^b", "^c"),
    "byte": ("dGV4dA==", "dGV4dDE=", "dGV4dDI="),
}
