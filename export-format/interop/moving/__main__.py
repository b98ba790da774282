"""`python3 -m moving https://anna.provider.example --origin https://me.example --listen 0.0.0.0:8080`

Tries whether the provider of a server keeps to the move protocol, by beginning a move of that server to itself and cancelling it. The owner of
the server has to open one address and consent. `--hand-over` goes to the end: the server then stands down, and its only
content is the archive in `--folder`.

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

    successor = options.successor or here.origin.replace("://", "://successor.")
    with tempfile.TemporaryDirectory(prefix="pcc-move-") as made:
        folder = Path(options.folder or made)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            Move(options.server.rstrip("/"), here, successor, folder, tried, consent).run(options.hand_over)
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
    made.add_argument("--hand-over", action="store_true", help="go to the end")
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
