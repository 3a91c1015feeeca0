from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.config import Settings
from tailrace.config_load import leaves, load_settings, value_of
from tailrace.errors import Stop


def test_without_anything_given_the_defaults_are_in_force() -> None:
    """An empty environment, no file and no flags give the default tree, and no origins."""
    loaded = load_settings(None, {}, {})
    assert loaded.settings == Settings()
    assert loaded.origins == {}


def test_flags_win_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    """Each leaf comes from the last source that gives it, and says so."""
    file = tmp_path / "tailrace.toml"
    file.write_text('listen = "0.0.0.0:1"\n[worker]\nflush_rows = 1\nflush_interval_s = 7\n')
    environment = {"TAILRACE_LISTEN": "0.0.0.0:2", "TAILRACE_WORKER_FLUSH_ROWS": "2", "HOME": "/"}
    loaded = load_settings(file, environment, {"listen": "0.0.0.0:3"})
    assert loaded.settings.listen == "0.0.0.0:3"
    assert loaded.settings.worker.flush_rows == 2
    assert loaded.settings.worker.flush_interval_s == 7
    assert loaded.origins == {
        "listen": "command line",
        "worker.flush_rows": "environment variable TAILRACE_WORKER_FLUSH_ROWS",
        "worker.flush_interval_s": f"file {file}",
    }


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"worker.flush_row": "1"}, "did you mean worker.flush_rows"),
        ({"worker.flush_rows": "many"}, "worker.flush_rows = 'many' (command line): Input should be a valid integer"),
        ({"worker.flush_rows": "0"}, "greater than 0"),
        ({"listen": "8001"}, "listen = '8001'"),
        ({"log_level": "loud"}, "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_wrong_setting_stops_with_its_name_value_and_what_was_expected(
    flags: dict[str, str], expected: str
) -> None:
    """Nothing starts on settings that are unknown or out of bounds."""
    with pytest.raises(Stop) as stop:
        load_settings(None, {}, flags)
    assert expected in str(stop.value)


def test_all_wrong_settings_are_said_at_once() -> None:
    """A person who made three mistakes is told of three mistakes."""
    with pytest.raises(Stop) as stop:
        load_settings(None, {"TAILRACE_NONSENSE": "1"}, {"listen": "x", "worker.flush_rows": "-1"})
    assert all(name in str(stop.value) for name in ("TAILRACE_NONSENSE", "listen", "worker.flush_rows"))


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    """The error names the file and the place in it."""
    file = tmp_path / "tailrace.toml"
    file.write_text("listen = \n")
    with pytest.raises(Stop, match=r"tailrace\.toml cannot be read.*line 1"):
        load_settings(file, {}, {})


def test_an_unknown_table_in_the_file_is_named(tmp_path: Path) -> None:
    """A table that holds no setting does not pass in silence."""
    file = tmp_path / "tailrace.toml"
    file.write_text("[workers]\nflush_rows = 1\n")
    with pytest.raises(Stop, match=r"workers\.flush_rows"):
        load_settings(file, {}, {})


def test_every_setting_has_a_description_and_a_variable_of_its_own() -> None:
    """No two settings share an environment variable, and each says what it is for."""
    every = list(leaves())
    assert len({leaf.variable for leaf in every}) == len(every)
    assert all(leaf.info.description for leaf in every)
    assert all(value_of(Settings(), leaf.name) == leaf.info.get_default(call_default_factory=True) for leaf in every)
