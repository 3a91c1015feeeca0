"""Lines as many systems write them: their time and level must come out, whatever stands around them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tailrace.config import IngestSettings
from tailrace.ingest.text.formats import TextDecoder

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1_000_000)

# Line, time (None: it has none), level.
LINES = [
    # Java: log4j, logback, java.util.logging, Cassandra, Spring, Kafka, Elasticsearch, Tomcat, Jetty
    ("2015-10-18 18:01:47,978 INFO [main] org.apache.hadoop.App: Created", "2015-10-18T18:01:47.978", "INFO"),
    ("2015-07-29 19:04:29,071 - WARN  [Send:1:Q$W@688] - Send worker leaving", "2015-07-29T19:04:29.071", "WARN"),
    ("17/06/09 20:10:40 INFO executor.Backend: Registered", "2017-06-09T20:10:40", "INFO"),
    ("2020-01-31 10:00:00.123 ERROR 1 --- [nio-8080-exec-1] c.e.App : failed", "2020-01-31T10:00:00.123", "ERROR"),
    ("10:00:00.123 [main] DEBUG com.example.App - hello", "2026-11-21T10:00:00.123", "DEBUG"),
    ("INFO  [main] 2020-01-31 10:00:00,123 CassandraDaemon.java:472 - up", "2020-01-31T10:00:00.123", "INFO"),
    ("WARN  [Native Transport 1] 2020-01-31 10:00:00,123 X.java:1 - slow", "2020-01-31T10:00:00.123", "WARN"),
    ("[2020-01-31 10:00:00,123] ERROR [Broker id=1] failed (kafka.server)", "2020-01-31T10:00:00.123", "ERROR"),
    ("[2020-01-31T10:00:00,123][WARN ][o.e.n.Node] [node-1] slow", "2020-01-31T10:00:00.123", "WARN"),
    ("31-Jan-2020 10:00:00.123 SEVERE [main] org.apache.catalina.X y", "2020-01-31T10:00:00.123", "ERROR"),
    ("Jan 31, 2020 10:00:00 PM org.foo.Bar run", "2020-01-31T22:00:00", None),
    ("Jan 31, 2020 12:00:00 AM org.foo.Bar run", "2020-01-31T00:00:00", None),
    ("SEVERE: could not open the file", None, "ERROR"),
    ("2020-01-31 10:00:00.123:WARN:oejs.Server:main: slow", "2020-01-31T10:00:00.123", "WARN"),
    # Python
    ("2020-01-31 10:00:00,123 - app.db - ERROR - lost", "2020-01-31T10:00:00.123", "ERROR"),
    ("2020-01-31 10:00:00,123 app.db WARNING lost", "2020-01-31T10:00:00.123", "WARN"),
    ("ERROR:root:it broke", None, "ERROR"),
    ('INFO:     127.0.0.1:5000 - "GET / HTTP/1.1" 200 OK', None, "INFO"),
    ("2020-01-31 10:00:00.123 | SUCCESS  | app:run:1 - done", "2020-01-31T10:00:00.123", None),
    ("2020-01-31 10:00:00.123 | WARNING  | app:run:1 - done", "2020-01-31T10:00:00.123", "WARN"),
    ("[2020-01-31 10:00:00,123: ERROR/MainProcess] Task failed", "2020-01-31T10:00:00.123", "ERROR"),
    ("[2020-01-31 10:00:00 +0100] [123] [INFO] Booting worker", "2020-01-31T09:00:00", "INFO"),
    ("2017-05-16 00:00:00.008 25746 INFO nova.osapi [req-1 - - -] x", "2017-05-16T00:00:00.008", "INFO"),
    (
        "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 WARNING nova.osapi x",
        "2017-05-16T00:00:00.008",
        "WARN",
    ),
    # Go, Rust, Node, Ruby, PHP, .NET
    ("2020/01/31 10:00:00 main.go:12: hello", "2020-01-31T10:00:00", None),
    ("2020/01/31 10:00:00.123456 hello", "2020-01-31T10:00:00.123456", None),
    ("2020-01-31T10:00:00.123Z\tINFO\tapp/main.go:1\thello", "2020-01-31T10:00:00.123", "INFO"),
    ("2020-01-31T10:00:00.123Z\tinfo\tapp/main.go:1\thello", "2020-01-31T10:00:00.123", "INFO"),
    ("2020-01-31T10:00:00.123+0100\tWARN\tapp/main.go:1\thello", "2020-01-31T09:00:00.123", "WARN"),
    ("2020-01-31T10:00:00Z ERROR my_crate::db: lost", "2020-01-31T10:00:00", "ERROR"),
    ("[2020-01-31T10:00:00Z WARN  my_crate] lost", "2020-01-31T10:00:00", "WARN"),
    ("2020-01-31T10:00:00.123456789Z  INFO app: hello", "2020-01-31T10:00:00.123456", "INFO"),
    ("I, [2020-01-31T10:00:00.123456 #12]  INFO -- : hello", "2020-01-31T10:00:00.123456", "INFO"),
    ("E, [2020-01-31T10:00:00.123456 #12] ERROR -- : broke", "2020-01-31T10:00:00.123456", "ERROR"),
    ("[31-Jan-2020 10:00:00 UTC] PHP Warning:  Undefined variable", "2020-01-31T10:00:00", "WARN"),
    ("[31-Jan-2020 10:00:00] WARNING: [pool www] server reached", "2020-01-31T10:00:00", "WARN"),
    ("[2020-01-31 10:00:00] production.ERROR: broke {}", "2020-01-31T10:00:00", "ERROR"),
    ("2020-01-31 10:00:00.123 +02:00 [ERR] Broke", "2020-01-31T08:00:00.123", "ERROR"),
    ("2020-01-31 10:00:00.123 [Information] Started", "2020-01-31T10:00:00.123", "INFO"),
    ("info: Microsoft.Hosting.Lifetime[0]", None, "INFO"),
    # Kubernetes and glog
    ("E0314 12:00:00.000001       1 file.go:1] broke", "2026-03-14T12:00:00.000001", "ERROR"),
    ("W1231 23:59:59.999999   77 reflector.go:3] slow", "2025-12-31T23:59:59.999999", "WARN"),
    ("I20200314 12:00:00.123456  1 main.cc:1] up", "2020-03-14T12:00:00.123456", "INFO"),
    ("2020-01-31T10:00:00.123456789Z stdout F hello", "2020-01-31T10:00:00.123456", None),
    ("web_1  | 2020-01-31 10:00:00 ERROR broke", "2020-01-31T10:00:00", "ERROR"),
    # Databases
    ("2020-01-31 10:00:00.123 UTC [99] LOG:  checkpoint", "2020-01-31T10:00:00.123", "INFO"),
    ("2020-01-31 10:00:00.123 CET [99] me@db ERROR:  no such table", "2020-01-31T09:00:00.123", "ERROR"),
    ("2020-01-31 10:00:00 PST FATAL:  the database is starting", "2020-01-31T18:00:00", "FATAL"),
    ("2020-01-31T10:00:00.123456Z 0 [Warning] [MY-010055] [Server] x", "2020-01-31T10:00:00.123456", "WARN"),
    ("2020-01-31T10:00:00.123456Z 0 [ERROR] [MY-010055] [Server] x", "2020-01-31T10:00:00.123456", "ERROR"),
    ("2020-01-31 10:00:00 139 [Note] InnoDB: started", "2020-01-31T10:00:00", "INFO"),
    ("160516  0:00:00 [ERROR] mysqld: Table", "2016-05-16T00:00:00", "ERROR"),
    ("2020-01-31T10:00:00.123+0000 I NETWORK  [listener] up", "2020-01-31T10:00:00.123", "INFO"),
    ("2020-01-31T10:00:00.123+0000 E STORAGE  [thread1] broke", "2020-01-31T10:00:00.123", "ERROR"),
    ("1:M 31 Jan 2020 10:00:00.123 # WARNING overcommit", "2020-01-31T10:00:00.123", "WARN"),
    ("1:M 31 Jan 2020 10:00:00.123 * Ready", "2020-01-31T10:00:00.123", "INFO"),
    ("2020.01.31 10:00:00.123456 [ 7 ] {} <Error> App: broke", "2020-01-31T10:00:00.123456", "ERROR"),
    # Web servers and proxies
    ("[Sun Dec 04 04:47:44 2005] [error] mod_jk child workerEnv in error state 6", "2005-12-04T04:47:44", "ERROR"),
    ("[Wed Oct 11 14:32:52.123456 2017] [core:error] [pid 3:tid 4] x", "2017-10-11T14:32:52.123456", "ERROR"),
    ("[Wed Oct 11 14:32:52.123456 2017] [:notice] [pid 3] x", "2017-10-11T14:32:52.123456", "INFO"),
    ("2020/01/31 10:00:00 [error] 1#1: *1 open() failed", "2020-01-31T10:00:00", "ERROR"),
    ("2020/01/31 10:00:00 [crit] 1#1: *1 SSL_do_handshake() failed", "2020-01-31T10:00:00", "FATAL"),
    ('1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326', "2000-10-10T20:55:36", "INFO"),
    ('1.2.3.4 - bob [10/Oct/2020:13:55:36 +0000] "GET /x HTTP/1.1" 404 - "-" "curl"', "2020-10-10T13:55:36", "WARN"),
    ('::1 - - [10/Oct/2020:13:55:36 +0000] "POST /x HTTP/2" 503 9 "-" "a \\" b"', "2020-10-10T13:55:36", "ERROR"),
    ("1286536309.450    921 192.168.0.68 TCP_MISS/200 507 POST http://x", "2010-10-08T11:11:49.45", None),
    ("[10.30 16:49:06] chrome.exe - proxy.example.edu:5070 open through proxy", "2026-10-30T16:49:06", None),
    ("2020-01-31 10:00:00 10.0.0.1 GET / - 80 - 1.2.3.4 curl 200 0 0 15", "2020-01-31T10:00:00", None),
    (
        "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in",
        "2026-02-06T12:14:14",
        None,
    ),
    # Systems
    ("Jul  1 09:00:55 calvisitor-10-105-160-95 kernel[0]: IOThunderboltSwitch", "2026-07-01T09:00:55", None),
    ("Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure", "2026-06-14T15:16:01", None),
    ("Dec 10 06:55:46 LabSZ sshd[24200]: error: Received disconnect", "2025-12-10T06:55:46", None),
    ("Dec 10 06:55:46 db postgres[24200]: ERROR:  relation is missing", "2025-12-10T06:55:46", "ERROR"),
    ("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", "2026-10-11T22:14:15", "FATAL"),
    ("<165>1 2003-08-24T05:14:15.000003-07:00 10.0.0.1 app 8710 - - x", "2003-08-24T12:14:15.000003", "INFO"),
    ("2020-01-31T10:00:00.123456+01:00 web1 sshd[1]: Accepted", "2020-01-31T09:00:00.123456", None),
    ("Jan 31 10:00:00 router daemon.err dnsmasq[1]: no servers", "2026-01-31T10:00:00", "ERROR"),
    ("2016-09-28 04:30:30, Info                  CBS    Loaded Servicing Stack", "2016-09-28T04:30:30", "INFO"),
    ("2016-09-28 04:30:31, Error                 CSI    00000001 broke", "2016-09-28T04:30:31", "ERROR"),
    ("03-17 16:13:38.811  1702  2395 D WindowManager: x", "2026-03-17T16:13:38.811", "DEBUG"),
    ("03-17 16:13:38.811 E/AndroidRuntime( 1702): x", "2026-03-17T16:13:38.811", "ERROR"),
    ("E/AndroidRuntime( 1702): x", None, "ERROR"),
    ("20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579", "2017-12-23T22:15:29.606", None),
    ("20171224-0:1:2:74|Step_LSC|30002312|x", "2017-12-24T00:01:02.074", None),
    ("[12345.678901] usb 1-1: new device", None, None),
    ("[    0.000000] Linux version 6.1", None, None),
    ("Mon Jan 31 10:00:00 CET 2022: backup begins", "2022-01-31T09:00:00", None),
    # Supercomputers
    ("081109 203615 148 INFO dfs.DataNode$PacketResponder: x", "2008-11-09T20:36:15", "INFO"),
    (
        "- 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.363779 R02-M1 RAS KERNEL INFO x",
        "2005-06-03T22:42:50",
        "INFO",
    ),
    (
        "KERNDTLB 1117838570 2005.06.03 R02 2005-06-03-15.42.50.363779 R02 RAS KERNEL FATAL data TLB error",
        "2005-06-03T22:42:50",
        "FATAL",
    ),
    ("2005-06-03-15.42.50.363779 R02-M1 RAS KERNEL INFO x", "2005-06-03T15:42:50.363779", "INFO"),
    ("- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond[1]: x", "2005-11-09T20:01:01", None),
    ("134681 node-246 unix.hw state_change.unavailable 1077804742 1 Component", "2004-02-26T14:12:22", None),
    # Epochs, other orders, other shapes
    ("1445144423 ERROR broke", "2015-10-18T05:00:23", "ERROR"),
    ("1445144423722 [INFO] up", "2015-10-18T05:00:23.722", "INFO"),
    ("1445144423722123 up", "2015-10-18T05:00:23.722123", None),
    ("1445144423722123456 up", "2015-10-18T05:00:23.722123", None),
    ("[1445144423.722] up", "2015-10-18T05:00:23.722", None),
    ("31.12.2020 23:59:59 ERROR kaputt", "2020-12-31T23:59:59", "ERROR"),
    ("31/12/2020 23:59:59 up", "2020-12-31T23:59:59", None),
    ("12/31/2020 11:59:59 PM up", "2020-12-31T23:59:59", None),
    ("12/31/20, 11:59 PM up", "2020-12-31T23:59:00", None),
    ("2020-01-31 10:00 up", "2020-01-31T10:00:00", None),
    ("20200131T101112Z INFO up", "2020-01-31T10:11:12", "INFO"),
    ("20200131 101112.123 INFO up", "2020-01-31T10:11:12.123", "INFO"),
    ("Fri, 31 Jan 2020 10:00:00 GMT up", "2020-01-31T10:00:00", None),
    ("=INFO REPORT==== 31-Jan-2020::10:00:00 ===", "2020-01-31T10:00:00", "INFO"),
    ("2020-01-31 10:00:00.123 [info] <0.1.0> up", "2020-01-31T10:00:00.123", "INFO"),
    ("INFO;2020-01-31 10:00:00;up", "2020-01-31T10:00:00", "INFO"),
    ("ERROR|2020-01-31 10:00:00|broke", "2020-01-31T10:00:00", "ERROR"),
    ("[ERROR] 2020-01-31 10:00:00 broke", "2020-01-31T10:00:00", "ERROR"),
    ("2020-01-31T10:00:00+00:00 level=warn up", "2020-01-31T10:00:00", "WARN"),
    ('time="2020-01-31T10:00:00Z" level=info msg="a b"', "2020-01-31T10:00:00", "INFO"),
    ("ts=2020-01-31T10:00:00.5Z caller=main.go:1 level=error msg=x", "2020-01-31T10:00:00.5", "ERROR"),
    ("t=1445144423 lvl=dbug level=debug msg=x", "2015-10-18T05:00:23", "DEBUG"),
    # Not levels and not times, however much they look like it
    ("2020-01-31 10:00:00 no error found", "2020-01-31T10:00:00", None),
    ("2020-01-31 10:00:00 the file could not be read: ERROR 5", "2020-01-31T10:00:00", None),
    ("Jun 14 15:16:01 combo app[1]: there was no error", "2026-06-14T15:16:01", None),
    ("nothing here is an ERROR", None, None),
    ("version 1.2.3 of 10.0.0.1:8080", None, None),
    ("2020-13-45 25:61:61 INFO no such day", None, "INFO"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("line", "time", "level"), LINES, ids=[line[:48] for line, _, _ in LINES])
def test_the_time_and_level_of_a_single_line_come_out(line: str, time: str | None, level: str | None) -> None:
    """One line is enough to know what it says."""
    decoder = TextDecoder(limits=IngestSettings())
    (event,) = decoder.decode(line.encode(), now_us=NOW_US).events.to_pylist()
    wanted = NOW if time is None else datetime.fromisoformat(time).replace(tzinfo=UTC)
    assert (event["timestamp"], event["level"]) == (wanted, level)
    assert event["message"] == line
