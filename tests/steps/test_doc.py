"""`docs/pipeline.md` says what there is, and its examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from tailrace.steps.grok_patterns import PATTERNS
from tailrace.steps.redact import DETECTORS
from tailrace.steps.settings import AnyStep, StepSettings
from tests.steps.rig import pipeline

PAGE = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
KINDS: tuple[type[StepSettings], ...] = get_args(get_args(AnyStep)[0])


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_runs(tmp_path: Path, example: str) -> None:
    """With the table and the key that it speaks of."""
    (tmp_path / "hosts.csv").write_text("host,team\ndb-1,data\n")
    assert pipeline(tmp_path, example, environment={"REDACT_KEY": "k" * 32}).steps


def test_every_step_field_detector_and_pattern_is_documented() -> None:
    """And none that is not there."""
    for kind in KINDS:
        assert f"`{get_args(kind.model_fields['kind'].annotation)[0]}`" in PAGE
        for field in kind.model_fields:
            assert re.search(rf"^\|.*`{field}`.*\|", PAGE, re.MULTILINE), (kind, field)
    for name in DETECTORS:
        assert re.search(rf"^\| .*`{name}`", PAGE, re.MULTILINE)
    library = PAGE.partition("The library has these patterns:")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", library)) == set(PATTERNS)
