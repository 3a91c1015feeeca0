"""A Java server as a child process."""

from __future__ import annotations

from pathlib import Path

from deploy.local import jars
from deploy.local.process import Process

LOG4J2 = """\
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
"""


class JavaProcess(Process):
    """A server whose jars are `jars_name` of `jars.NAMES`.

    `heap_mb_max` bounds its heap; the process is about 150 MB larger. `long_lived` says that it will do more than a
    test's work: then Java compiles as it does by default. Otherwise only by the compiler that starts fast, which
    halves the time to start and leaves the second core to the test.
    """

    jars_name: str
    heap_mb_max: int

    def __init__(self, folder: Path, *, long_lived: bool = False) -> None:
        super().__init__(folder)
        self.long_lived = long_lived

    def java(self, main: str, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
        """The command that runs a main class of this server's jars."""
        command = [jars.java(), "-Xms64m", f"-Xmx{self.heap_mb_max}m", "-XX:+UseSerialGC"]
        command += ["-XX:+ExitOnOutOfMemoryError"]
        if not self.long_lived:
            command.append("-XX:TieredStopAtLevel=1")
        return [*command, *options, "-cp", self.classpath(), main, *arguments]

    def classpath(self) -> str:
        return jars.classpath(self.jars_name)

    def logging_option(self) -> str:
        """Warnings and errors to the output, by Log4j 2."""
        path = self.folder / "log4j2.properties"
        path.write_text(LOG4J2)
        return f"-Dlog4j2.configurationFile={path}"
