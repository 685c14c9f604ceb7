"""`kill -9` in the midst of a raid, twice: no decision is lost, what stood stands, and the recordings tell it all.

Nothing is timed here: `benchmarks/kill9.py` measures.
"""

from pathlib import Path

import kill9


def test_no_decision_is_lost_by_kill_9(tmp_path: Path) -> None:
    result = kill9.run(tmp_path, 2, 1, (1.0, 6.0), "--roll-minutes", "0.1")
    assert result.commands > 0, "sirens were told"
    assert result.lost_commands == [], "what a siren was told is in a recording, or what its ticks lead to"
    assert result.unlike == [], "what was decided live is what the recordings lead to"
    assert result.broken == 0, "each start went on from what was recorded"
    assert all(kill9.ZONE in kill.standing & kill.standing_after for kill in result.kills)
    assert len(list((tmp_path / "record").glob("*.mcap"))) >= 3, "one for each start"
    told = kill9.told_of(result)
    assert "kills                                     2, 2 of them under an alert" in told
