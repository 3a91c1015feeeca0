"""`python dashboard/build`: builds the page, where it is not up to date.

--optional       a page that cannot be built is told, and is no failure: all but the page works without it
run SCRIPT …     runs a script of package.json with the Node that the build uses, and what the lock file names
"""

from __future__ import annotations

import sys

from node_finder import BuildError
from page_build import build_page, run_script


def main(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["run"]:
            return run_script(*arguments[1:])
        if arguments not in ([], ["--optional"]):
            print(__doc__, file=sys.stderr)
            return 2
        build_page()
    except BuildError as error:
        print(f"The dashboard is not built. {error}", file=sys.stderr)
        return 0 if arguments == ["--optional"] else 1
    return 0


sys.exit(main(sys.argv[1:]))
