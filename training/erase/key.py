"""The key of erasures: `python -m training.erase.key create`, `rotate`, `list`. Secrets are never printed."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from lifecycle.erasure.keys import create_keys, default_path, read_keys, rotate_keys


def main(arguments: list[str] | None = None) -> None:
    """The command line; 1 is its status where a command cannot be done."""
    options = _parser().parse_args(arguments)
    path = options.path or default_path()
    try:
        if options.command == "create":
            create_keys(path, datetime.now(UTC))
            print(f"{path}: keep it apart from log and backups; without it nobody can be erased")
        elif options.command == "rotate":
            rotate_keys(path, datetime.now(UTC))
            print(f"{path}: a new key writes from now on; older ones stay")
        else:
            for key in read_keys(path).keys:
                print(f"{key.id}  {key.created_at.isoformat(timespec='seconds')}")
    except (ValueError, OSError) as error:
        print(f"training.erase.key: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="training.erase.key",
        description="The key that the ids of erased customers are hashed with.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, told in (
        ("create", "make the file with its first key"),
        ("rotate", "add a key, which writes from now on"),
        ("list", "ids and creation times"),
    ):
        command = commands.add_parser(name, help=told)
        command.add_argument(
            "--path",
            type=Path,
            help="key file; default EVERVALUE_ERASURE_KEY, else ~/.config/evervalue/erasure.json",
        )
    return parser


if __name__ == "__main__":
    main()
