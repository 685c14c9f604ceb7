"""The description of the service against the service: schemathesis makes requests of it and judges the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from entrance import Entrance, Loose

EXAMPLES = 25
"""Of each address; all of them together take well under a minute."""


@pytest.fixture(scope="module")
def entrance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    with Entrance(tmp_path_factory.mktemp("described"), limits=Loose()) as running:
        yield running


@pytest.fixture(scope="module")
def described(entrance: Entrance) -> Any:
    refusals = {"expected-statuses": [400, 401, 403, 404, 413, 415, 422]}
    config = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": refusals}})
    where = f"{entrance.url}/openapi.json"
    return schemathesis.openapi.from_url(where, headers=entrance.bearer("ada"), config=config)


def test_every_address_answers_as_it_is_described(described: Any, entrance: Entrance) -> None:
    tried = []
    for found in described.get_all_operations():
        operation = found.ok()
        tried.append(operation.label)
        judge(operation, entrance)
    assert {"GET /healthz", "POST /api/drill", "POST /api/session", "GET /api/audit", "GET /metrics"} <= set(tried)


def judge(operation: Any, entrance: Entrance) -> None:
    """Requests to one address, right ones and wrong ones: no fault of ours, and no answer that is not described."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
    def right(case: Any) -> None:
        case.call_and_validate(headers=entrance.bearer("ada"))

    @settings(right._hypothesis_internal_use_settings)
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    def wrong(case: Any) -> None:
        case.call_and_validate(headers=entrance.bearer("ada"))

    right()
    if operation.body or operation.query:
        wrong()
