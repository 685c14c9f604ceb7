"""Twenty minutes of traffic at speed through the live path; `make soak` does six hours."""

import asyncio
from pathlib import Path

from soak import soak


def test_twenty_minutes_change_nothing_but_the_time(tmp_path: Path) -> None:
    """Memory is flat, no queue grows, nothing is dropped, and the recording leads to the same decisions and state."""
    found = asyncio.run(soak(tmp_path, minutes=20.0, update_s=0.5))
    assert found.faults == []
    assert found.alerts >= 2
    assert found.datagrams > 2_000
    assert len(list(tmp_path.glob("recording-*.mcap"))) >= 2
