"""A hook of Schemathesis (`SCHEMATHESIS_HOOKS=tests.support.fuzz_coverage`): TraceCov's counts of what a run has tried.

The counts are those of the contract itself, also where the run used a copy of it, so that runs can be added up.
"""

import os
from pathlib import Path

from schemathesis import cli
from schemathesis.engine import events
from tracecov import CoverageMap
from tracecov.schemathesis import group_interactions_by_method_path, to_http_interaction

from openapi.contract import CONTRACT_FILE


@cli.handler()
class CoverageRecorder(cli.EventHandler[cli.ExecutionContext]):
    """Records every request of a run and writes the counts to the file that FUZZ_COVERAGE names."""

    def __init__(self, *_arguments: object, **_parameters: object) -> None:
        self._coverage = CoverageMap.from_path(CONTRACT_FILE)

    def handle_event(self, _ctx: cli.ExecutionContext, event: events.EngineEvent) -> None:
        """Called by Schemathesis for everything that happens in a run."""
        if isinstance(event, events.ScenarioFinished):
            for (method, path), interactions in group_interactions_by_method_path(event.recorder).items():
                batch = [to_http_interaction(method, interaction) for interaction in interactions]
                self._coverage.record_schemathesis_interactions(method, path, batch)
        elif isinstance(event, events.EngineFinished):
            Path(os.environ["FUZZ_COVERAGE"]).write_bytes(self._coverage.export_counts())
