"""The library's commands: `python -m retrieval_lib data | record | verify`."""

import argparse
import json
import sys

from retrieval_lib.data import describe_downloads, prepare


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m retrieval_lib", description="Commands of the retrieval library.")
    commands = parser.add_subparsers(dest="command", required=True)
    data = commands.add_parser("data", help="fetch and decode the book's images, sizes told first")
    data.add_argument("--json", action="store_true", help="end with one line of JSON that describes them")
    told = parser.parse_args(arguments)
    return _data(told.json)


def _data(as_json: bool) -> int:
    for line in describe_downloads():
        print(f"To download, if its server can be reached: {line}")
    prepared = prepare()
    if as_json:
        print(json.dumps(prepared))
        return 0
    for kind, about in prepared.items():
        print(f"{kind}: {about['name']}, {about['count']:,} images, {about['source']}\n  {about['reason']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
