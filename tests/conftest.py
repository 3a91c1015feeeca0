"""What all tests share."""

import signal

from hypothesis import settings

from tests.real_servers import elasticsearch as elasticsearch
from tests.real_servers import hdfs as hdfs
from tests.real_servers import kafka as kafka
from tests.real_servers import kafka_cluster as kafka_cluster
from tests.real_servers import opensearch as opensearch
from tests.real_servers import own_elasticsearch as own_elasticsearch
from tests.real_servers import own_hdfs as own_hdfs
from tests.real_servers import own_kafka as own_kafka
from tests.real_servers import own_kafka_cluster as own_kafka_cluster
from tests.real_servers import own_opensearch as own_opensearch
from tests.real_servers import own_redis as own_redis
from tests.real_servers import own_s3 as own_s3
from tests.real_servers import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.real_servers import redis as redis
from tests.real_servers import s3 as s3

# A shell starts what it runs in the background with SIGINT ignored, and children inherit that: Ctrl-C would not end
# the servers of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing on a machine that does other things too; speed is measured in bench/.
settings.register_profile("tailrace", deadline=None)
settings.load_profile("tailrace")
