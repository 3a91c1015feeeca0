"""The command line. Commands are imported when they are called, so that `tailrace --help` is instant."""

from __future__ import annotations

import importlib
import importlib.metadata

import click

from tailrace.errors import TailraceError

# Name, where it is, and its line in `tailrace --help`: listing the commands must not import them.
_COMMANDS = {
    "up": ("tailrace.commands.up:up", "Run the whole platform on this machine."),
    "gateway": ("tailrace.commands.roles:gateway", "Run the role that takes events in."),
    "worker": ("tailrace.commands.roles:worker", "Run the role that stores events."),
    "api": ("tailrace.commands.roles:api", "Run the role that answers queries."),
    "send": ("tailrace.client.send:send", "Send log files or standard input."),
    "search": ("tailrace.client.search:search", "Find events."),
    "tail": ("tailrace.client.tail:tail", "Watch events as they come in."),
    "sql": ("tailrace.client.sql:sql", "Ask the lake in SQL."),
    "generate": ("tailrace.client.generate:generate", "Make realistic events at a chosen rate."),
    "fetch": ("tailrace.client.fetch:fetch", "Query at random and measure the answers."),
    "dead-letters": ("tailrace.client.dead_letters:dead_letters", "Look at, mend, replay what could not be decoded."),
    "pipeline": ("tailrace.commands.pipeline:pipeline", "Check and try the steps between decoding and storing."),
    "spark": ("tailrace.commands.spark:spark", "Run the same work on Spark: stream, counts, re-index."),
    "lake": ("tailrace.commands.lake:lake", "Look after the lake: info, check, compact, retain."),
    "config": ("tailrace.commands.config:config", "Show the settings in force and where each came from."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except TailraceError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version("tailrace"), prog_name="tailrace")
def main() -> None:
    """Tailrace: logs in, durable, and found again in milliseconds.

    \b
    Start here:
      tailrace up --demo                       a running platform with events in it
      tailrace send app.log                    your own log into it
      tailrace search 'level:ERROR' --since 1h

    Commands that talk to a server find it by --url or TAILRACE_URL (default http://127.0.0.1:8001).
    """
