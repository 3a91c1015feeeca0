"""One Spark session for all tests of a process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deploy.local import jars
from deploy.local.process import Missing

from tailrace.errors import Stop
from tailrace.jobs.session import Cluster, need_java, need_pyspark, session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For Java: compile quickly rather than well, as few seconds of work want it."""


@pytest.fixture(scope="session")
def spark_jars() -> str:
    """The folder of the jars. What is missing on the machine skips, and fails in CI."""
    try:
        need_pyspark()
        need_java()
        return str(jars.jars_folder("spark"))
    except (Stop, Missing) as e:
        if os.environ.get("CI"):
            pytest.fail(f"Spark has to be tested here, but {e}")
        pytest.skip(f"Spark is NOT TESTED: {e}")


@pytest.fixture(scope="session")
def spark(spark_jars: str) -> Iterator[SparkSession]:
    properties = {
        # Small, for it stays until the other tests of this process are done.
        "spark.driver.memory": "512m",
        "spark.driver.extraJavaOptions": QUICK_START,
        "spark.sql.shuffle.partitions": "2",
        # Another reader of our table: Delta's own.
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }
    with session(Cluster("local[2]", [Path(spark_jars)], properties), "tests") as opened:
        yield opened
