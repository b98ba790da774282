"""`python3 -m moving https://anna.provider.example --origin https://me.example --listen 0.0.0.0:8080`

Tries whether the provider of a server keeps to the move protocol, by beginning a move of that server to itself and cancelling it. The owner of
the server has to open one address and consent. `--hand-over` goes to the end: the server then stands down, and its only
content is the archive in `--folder`. `--recall` goes as far and has the owner take the server back at the old provider.

Exit codes: 0 all holds; 1 something does not; 2 wrong use; 3 could not be tried to the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .here import Here
from .target import Broken, Move, Tried
from .wire import WireError


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    here = Here(options.origin, (host, int(port)))
    tried = Tried(lambda line: print(line, flush=True))

    def consent(url: str) -> None:
        print(f"open    {url}", flush=True)

    def await_owner() -> None:
        print(f"recall  {options.server}", flush=True)

    end = "recall" if options.recall else "hand-over" if options.hand_over else "cancel"
    successor = options.successor or here.origin.replace("://", "://successor.")
    with tempfile.TemporaryDirectory(prefix="pcc-move-") as made:
        folder = Path(options.folder or made)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            Move(options.server.rstrip("/"), here, successor, folder, tried, consent, await_owner).run(end)
        except (Broken, WireError, KeyError, TypeError, ValueError) as error:
            print(f"broken off: {error!r}")
            print(f"{tried.good} hold, {len(tried.bad)} do not, the rest could not be tried")
            return 3
        finally:
            here.close()
    print(f"{tried.good} hold, {len(tried.bad)} do not")
    return 1 if tried.bad else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="moving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("server", help="the address of the server, an origin")
    made.add_argument("--origin", required=True, help="the origin at which the provider reaches this program; :0 for the port it listens on")
    made.add_argument("--listen", default="127.0.0.1:0", help="where this program listens")
    made.add_argument("--successor", help="the address the server would get")
    made.add_argument("--folder", help="keeps what comes, in a folder that is not there yet")
    ends = made.add_mutually_exclusive_group()
    ends.add_argument("--hand-over", action="store_true", help="go to the end")
    ends.add_argument("--recall", action="store_true", help="hand over, and have the owner take the server back")
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
