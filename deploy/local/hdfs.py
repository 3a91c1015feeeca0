"""HDFS: a NameNode and a DataNode, which are two processes."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self
from xml.sax.saxutils import escape

from deploy.local.java_process import JavaProcess
from deploy.local.process import HOST, StartFailed, kept_port

LOGGING = """\
log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
"""
WEB_APP = '<web-app xmlns="http://java.sun.com/xml/ns/javaee" version="2.5"/>\n'
PACKAGE = "org.apache.hadoop.hdfs.server"
BEANS = "Hadoop:service=NameNode,name=FSNamesystemState"


class HdfsProcess(JavaProcess):
    """One of the two; both read the configuration in `folder/conf`."""

    jars_name = "hdfs"
    heap_mb_max = 256
    main: str

    def __init__(self, folder: Path, web_address: str) -> None:
        super().__init__(folder)
        self._web_address = web_address

    def classpath(self) -> str:
        return f"{self.folder / 'conf'}:{super().classpath()}"

    def command(self) -> Sequence[str]:
        return self.hadoop()

    def hadoop(self, *arguments: str) -> list[str]:
        options = (
            "-Djava.net.preferIPv4Stack=true",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            f"-Dhadoop.log.dir={self.folder / 'logs'}",
        )
        return self.java(self.main, *arguments, options=options)

    def beans(self, query: str) -> dict[str, object]:
        """The first management bean that matches; raises OSError or ValueError when the
        process does not answer with beans yet."""
        with urllib.request.urlopen(f"http://{self._web_address}/jmx?qry={query}", timeout=2) as answer:
            found = json.load(answer)["beans"]
        return dict(found[0]) if found else {}


class NameNode(HdfsProcess):
    name = "namenode"
    main = f"{PACKAGE}.namenode.NameNode"

    def command(self) -> Sequence[str]:
        if not (self.folder / "names").exists():
            command = self.hadoop("-format", "-force", "-nonInteractive")
            done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise StartFailed(f"HDFS could not be formatted:\n{(done.stdout + done.stderr)[-4000:]}")
        return super().command()

    def is_ready(self) -> bool:
        try:
            return self.beans(BEANS).get("FSState") == "Operational"
        except (OSError, ValueError):
            return False

    def live_datanodes(self) -> int:
        try:
            return int(str(self.beans(BEANS).get("NumLiveDataNodes", 0)))
        except (OSError, ValueError):
            return 0


class DataNode(HdfsProcess):
    name = "datanode"
    main = f"{PACKAGE}.datanode.DataNode"

    def is_ready(self) -> bool:
        try:
            return bool(self.beans("Hadoop:service=DataNode,name=DataNodeInfo"))
        except (OSError, ValueError):
            return False


class Hdfs:
    """Both processes. `kill`, `pause` and their like act on both; `namenode` and `datanode` on one."""

    name = "hdfs"

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder.absolute()
        self.port = port or kept_port(self.folder, "port")
        names = ("namenode.web", "datanode", "datanode.web", "datanode.ipc")
        self._addresses = {name: f"{HOST}:{kept_port(self.folder, name)}" for name in names}
        self.namenode = NameNode(self.folder, self._addresses["namenode.web"])
        self.datanode = DataNode(self.folder, self._addresses["datanode.web"])
        self._both = (self.datanode, self.namenode)

    @property
    def url(self) -> str:
        return f"hdfs://{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        return all(process.running for process in self._both)

    def said(self) -> str:
        return self.namenode.said() + self.datanode.said()

    def start(self) -> Self:
        """Starts those of the two that do not run; returns when files can be written."""
        self._configure()
        try:
            # The format comes first, in the NameNode's command; after it both come up side by side.
            for process in (self.namenode, self.datanode):
                if not process.running:
                    process.spawn()
            self.namenode.wait_ready()
            self.datanode.wait_ready()
            deadline = time.monotonic() + self.namenode.start_timeout_s
            while not self.namenode.live_datanodes() or not self.namenode.is_ready():
                if time.monotonic() > deadline:
                    raise StartFailed(f"the DataNode did not register:\n{self.datanode.said()[-4000:]}")
                time.sleep(0.05)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        for process in self._both:
            process.stop()

    def kill(self) -> None:
        for process in self._both:
            process.kill()

    def pause(self) -> None:
        for process in self._both:
            process.pause()

    def resume(self) -> None:
        for process in self._both:
            process.resume()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _configure(self) -> None:
        folder = self.folder / "conf"
        for application in ("hdfs", "datanode"):
            # The web pages' folders are not in the jars, and the processes do not start without them.
            inside = folder / "webapps" / application / "WEB-INF"
            inside.mkdir(parents=True, exist_ok=True)
            (inside / "web.xml").write_text(WEB_APP)
        (folder / "log4j.properties").write_text(LOGGING)
        core = {"fs.defaultFS": self.url, "hadoop.tmp.dir": str(self.folder / "tmp")}
        (folder / "core-site.xml").write_text(_site(core))
        hdfs = {
            "dfs.replication": "1",
            "dfs.namenode.name.dir": f"file://{self.folder}/names",
            "dfs.datanode.data.dir": f"file://{self.folder}/blocks",
            "dfs.namenode.http-address": self._addresses["namenode.web"],
            "dfs.datanode.address": self._addresses["datanode"],
            "dfs.datanode.http.address": self._addresses["datanode.web"],
            "dfs.datanode.ipc.address": self._addresses["datanode.ipc"],
            "dfs.datanode.hostname": HOST,
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.permissions.enabled": "false",
            # One DataNode: nothing to wait for once its blocks are known.
            "dfs.namenode.safemode.extension": "0",
            "dfs.heartbeat.interval": "1",
        }
        (folder / "hdfs-site.xml").write_text(_site(hdfs))


def _site(settings: Mapping[str, str]) -> str:
    lines = [
        f"  <property><name>{name}</name><value>{escape(value)}</value></property>\n"
        for name, value in settings.items()
    ]
    return f"<configuration>\n{''.join(lines)}</configuration>\n"
