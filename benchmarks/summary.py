"""What the rounds give: medians, ratios with their spread, and which goals are reached."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from statistics import median
from typing import Any, NamedTuple

from benchmarks.contestants import CONTESTANTS, FASTAPI, FASTIFY, FLOOR, LITESTAR, PRODUCT, Contestant
from benchmarks.load import Measurement
from benchmarks.rounds import Plan, Series

# wrk, PostgreSQL and two workers, each on a core of its own: with fewer, two workers cannot show what they add.
CORES_FOR_TWO = 4


class Spread(NamedTuple):
    """The median of the rounds, and the least and the most of them."""

    median: float
    least: float
    most: float


class Goal(NamedTuple):
    """What the product is to reach, what it has reached, and whether that is enough."""

    sentence: str
    value: float
    reached: bool


def spread(values: Sequence[float]) -> Spread:
    """Median, least and most of at least one value."""
    return Spread(median(values), min(values), max(values))


class Summary:
    """The results of a plan, and what they give.

    Args:
        series: what each contestant has reached, by its name.
    """

    def __init__(self, plan: Plan, series: Mapping[str, Series]) -> None:
        self.plan = plan
        self.series = series

    @property
    def rivals(self) -> list[str]:
        """The names of those that the product is compared with; none where it was not measured itself."""
        return [name for name in self.series if name != PRODUCT.name and PRODUCT.name in self.series]

    def metric(self, name: str, kind: str, measured: str) -> Spread:
        """One number of `Measurement`, `p99_ms` say, of a contestant under one kind of load, over the rounds."""
        return spread([getattr(each, measured) for each in self.series[name].loads[kind]])

    def doubling(self) -> Spread | None:
        """How many times one worker's requests per second two workers of the product answer; None if not measured."""
        ours = self.series[PRODUCT.name] if PRODUCT.name in self.series else Series()
        if not ours.doubled:
            return None
        pairs = zip(ours.doubled, ours.loads["mixed"], strict=True)
        return spread([two.requests_per_second / one.requests_per_second for two, one in pairs])

    def start_seconds(self, name: str) -> Spread:
        """From the start of a contestant's process to its first answer."""
        return spread(self.series[name].start_seconds)

    def ratio(self, name: str, kind: str) -> Spread:
        """How many times the requests per second of `name` the product answers, compared round by round."""
        pairs = zip(self.series[PRODUCT.name].loads[kind], self.series[name].loads[kind], strict=True)
        return spread([ours.requests_per_second / theirs.requests_per_second for ours, theirs in pairs])

    def goals(self) -> list[Goal]:
        """The goals that this run can tell about."""
        return [*self._speed(), *self._crowds(), *self._footprint()] if "mixed" in self.plan.kinds else []

    def _speed(self) -> Iterator[Goal]:
        if self.plan.workers == 1:
            factors = ((10, FASTAPI), (1.7, LITESTAR), (0.8, FASTIFY))
            yield from (
                self._at_least(factor, rival, "mixed")
                for factor, rival in factors
                if rival.name in self.rivals
            )
            if FLOOR.name in self.rivals:
                yield self._cost("mixed", "cpu_us", 1.5, "CPU")
                for kind in ("get", "create"):
                    if kind in self.plan.kinds:
                        yield self._cost(kind, "database_cpu_us", 1.3, "PostgreSQL's CPU")
            doubling = self.doubling()
            if doubling is not None and self.plan.cores >= CORES_FOR_TWO:
                value = doubling.median
                yield Goal("mixed: two workers at least 1.7 times one", value, value >= 1.7)
        elif FASTAPI.name in self.rivals:
            yield self._at_least(6, FASTAPI, "mixed")

    def _at_least(self, factor: float, rival: Contestant, kind: str) -> Goal:
        measured = self.ratio(rival.name, kind).median
        return Goal(f"{kind}: at least {factor:g} times {rival.label}", measured, factor <= measured)

    def _cost(self, kind: str, measured: str, most: float, what: str) -> Goal:
        """A cost for each request in relation to that of the bare application, compared round by round."""
        pairs = zip(self.series[PRODUCT.name].loads[kind], self.series[FLOOR.name].loads[kind], strict=True)
        ratio = spread([getattr(a, measured) / max(getattr(b, measured), 1) for a, b in pairs]).median
        sentence = f"{kind}: {what} at most {most:g} times that of {FLOOR.label}"
        return Goal(sentence, ratio, ratio <= most)

    def crowd(self, name: str, connections: int, measured: str) -> float:
        """One number of `Measurement` of a contestant with so many connections, the median of the rounds."""
        return median([getattr(each, measured) for each in self.series[name].crowds[connections]])

    def _crowds(self) -> Iterator[Goal]:
        for connections in self.plan.crowds if FASTIFY.name in self.rivals else ():
            ours, theirs = (self.crowd(each.name, connections, "p99_ms") for each in (PRODUCT, FASTIFY))
            sentence = f"{connections} connections: p99 at most the {theirs:.0f} ms of {FASTIFY.label}"
            yield Goal(sentence, ours, ours <= theirs)

    def _footprint(self) -> Iterator[Goal]:
        if PRODUCT.name not in self.series:
            return
        if self.plan.workers == 1:
            p99 = self.metric(PRODUCT.name, "mixed", "p99_ms").median
            yield Goal("mixed: p99 at most 15 ms", p99, p99 <= 15)
            memory = self.metric(PRODUCT.name, "mixed", "memory_mb").median
            yield Goal("memory of a worker, MB: at most 90", memory, memory <= 90)
        if FASTAPI.name in self.rivals:
            most = 1.5 * self.start_seconds(FASTAPI.name).median
            start = self.start_seconds(PRODUCT.name).median
            sentence = f"start to first answer, s: at most {most:.2f}, 1.5 times that of {FASTAPI.label}"
            yield Goal(sentence, start, start <= most)

    def as_json(self) -> dict[str, Any]:
        """Settings, medians, ratios, goals, and every round's measurements."""
        settings = ("rounds", "seconds", "workers", "connections", "users", "tasks")
        return {
            **{name: getattr(self.plan, name) for name in settings},
            "goals": [goal._asdict() for goal in self.goals()],
            "ratios": {
                name: {kind: self.ratio(name, kind)._asdict() for kind in self.plan.kinds}
                for name in self.rivals
            },
            "two_workers": None if (doubling := self.doubling()) is None else doubling._asdict(),
            "contestants": {name: self._contestant(name) for name in self.series},
        }

    def _contestant(self, name: str) -> dict[str, Any]:
        names = [each.name for each in fields(Measurement)]
        return {
            "label": CONTESTANTS[name].label,
            "start_seconds": self.series[name].start_seconds,
            "medians": {
                kind: {each: self.metric(name, kind, each).median for each in names}
                for kind in self.plan.kinds
            },
            "rounds": {kind: list(map(asdict, rounds)) for kind, rounds in self.series[name].loads.items()},
            "crowds": {
                count: list(map(asdict, rounds)) for count, rounds in self.series[name].crowds.items()
            },
            "two_workers": list(map(asdict, self.series[name].doubled)),
        }
