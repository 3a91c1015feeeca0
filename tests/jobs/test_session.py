"""What is missing on a machine is said with what to do."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from click.testing import CliRunner

from tailrace.commands.spark import spark
from tailrace.errors import Stop
from tailrace.jobs.session import need_java, need_pyspark, reason_of


def test_without_pyspark_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """On every job, before anything is opened."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Stop, match=r"pip install 'tailrace\[spark\]'"):
        need_pyspark()
    for job in ("stream", "counts", "top-messages", "reindex"):
        arguments = ["--to", "elasticsearch://127.0.0.1"] if job == "reindex" else []
        result = CliRunner().invoke(spark, [job, *arguments])
        assert isinstance(result.exception, Stop)


def test_without_java_it_is_said_which_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whether it is looked for on the PATH or in JAVA_HOME, or is too old."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Stop, match=r"java is not on the PATH.*Java 17 or newer"):
        need_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(Stop, match=r"cannot be run.*Java 17 or newer"):
        need_java()
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    with pytest.raises(Stop, match="is not Java 17"):
        need_java()


def test_the_cause_is_found_in_what_spark_wraps_around_it() -> None:
    """The last exception of a Python worker's traceback, without pages of Java."""
    text = """[PYTHON_EXCEPTION] An exception was thrown from the Python worker: Traceback (most recent call last):
  File "worker.py", line 1, in main
ValueError: inner

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
tailrace.errors.RetryLater: hdfs://a/lake: cannot be written: full

JVM stacktrace:
org.apache.spark.SparkException: Job aborted
"""
    assert reason_of(RuntimeError(text)) == "RetryLater: hdfs://a/lake: cannot be written: full"
    assert reason_of(RuntimeError("\nno such host\n  at x")) == "no such host"
