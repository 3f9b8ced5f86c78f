"""What the command ``forger`` may be told: one function a command."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from forger.admin import Admin
from forger.cli import commands
from forger.version import VERSION

_EXAMPLES = """examples:
  forger models
  forger sample --seed 0 -n 16 --class three -o grid.png
  forger arithmetic "42:0,3,7 - 9:1,2,4 + 5:0,1,2" --class eight --jitter 8 -o sum.png
  forger walk 1@one 2@seven 3@two --steps 30 --loop -o walk.webp
  forger bulk -n 50000 --class balanced --sink wds:out/%05d.tar --resume
  forger verify out/
  forger replay image.png
  forger admin rollback mnist
"""


class _Commands:
    """Makes commands, which all have the address of the service and, if they draw, the model."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(self, name: str, run: commands.Command, text: str, more: str = "") -> argparse.ArgumentParser:
        """Return a command's parser."""
        one = self._word(name, text, more)
        one.set_defaults(run=run)
        return one

    def add_group(self, name: str, text: str, more: str) -> _Commands:
        """Return what makes the commands behind a word of their own."""
        return _Commands(self._word(name, text, more))

    def _word(self, name: str, text: str, more: str) -> argparse.ArgumentParser:
        one = self._subparsers.add_parser(name, help=text, description=f"{text.capitalize()}. {more}")
        _add_url(one, default=argparse.SUPPRESS)
        return one

    def add_drawing(
        self, name: str, run: commands.Command, text: str, more: str = ""
    ) -> argparse.ArgumentParser:
        """Return the parser of a command that draws."""
        one = self.add(name, run, text, more)
        one.add_argument("--model", help="name or name:version; the service's default if left out")
        one.add_argument("--truncation", metavar="MODE:VALUE", help="such as threshold:0.7 or scale:0.7")
        return one


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="forger",
        description="One image or a million, from the shell.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"forger-client {VERSION}")
    _add_url(whole)
    made = _Commands(whole)
    for add in _COMMANDS:
        add(made)
    return whole


def _models(made: _Commands) -> None:
    made.add("models", commands.models, "list the models")


def _sample(made: _Commands) -> None:
    sample = made.add_drawing(
        "sample", commands.sample, "draw images, as one grid", "One alone carries its recipe."
    )
    sample.add_argument("-n", type=int, default=1, help="how many (1)")
    sample.add_argument("--seed", type=int, help="a random one if left out, and told")
    sample.add_argument("--index", type=int, default=0, help="the first image of the seed (0)")
    _add_class(sample)
    _add_output(sample)


def _arithmetic(made: _Commands) -> None:
    arithmetic = made.add_drawing(
        "arithmetic",
        commands.arithmetic,
        "draw a sum of latents and its neighbours",
        "A term is a seed, then indices behind a colon, whose mean it is, and a class behind an @.",
    )
    arithmetic.add_argument("sum", help="such as '42:0,3,7 - 9:1,2,4 + 0.5*5:0@eight'")
    arithmetic.add_argument("--jitter", type=int, help="how many neighbours of the result to draw")
    arithmetic.add_argument(
        "--normalize",
        choices=["match", "sphere", "none"],
        default="match",
        help="how the sum becomes a latent again: match (the default) gives it the law of one",
    )
    _add_class(arithmetic)
    _add_output(arithmetic)


def _walk(made: _Commands) -> None:
    walk = made.add_drawing("walk", commands.walk, "draw a path through latents, as an animation")
    walk.add_argument("keyframes", nargs="+", metavar="SEED[:INDEX][@CLASS]", help="two or more latents")
    walk.add_argument("--steps", type=int, default=8, help="images from one keyframe to the next (8)")
    walk.add_argument("--loop", action="store_true", help="lead back to the first")
    walk.add_argument(
        "--method",
        choices=["slerp", "match", "linear", "cubic"],
        default="slerp",
        help="how to go from latent to latent: slerp (the default), or cubic without kinks",
    )
    walk.add_argument("--fps", type=float, default=12.0, help="frames a second (12)")
    _add_output(walk, "a .webp, .gif or .png file")


def _bulk(made: _Commands) -> None:
    bulk = made.add_drawing(
        "bulk",
        commands.bulk,
        "draw many images into files",
        "It may be killed at any time: the same command with --resume goes on, to the same bytes.",
    )
    bulk.add_argument("-n", type=int, required=True, help="how many")
    bulk.add_argument("--seed", type=int, help="a random one if left out")
    _add_class(bulk)
    bulk.add_argument("--sink", required=True, help="folder:, npz:, wds:, parquet: or zip: and a path")
    bulk.add_argument("--resume", action="store_true", help="go on with what lies there, or begin")
    bulk.add_argument(
        "--allow-missing",
        action="store_true",
        help="finish without images that the service cannot draw, and list them in the manifest",
    )
    bulk.add_argument("--concurrency", type=int, default=8, help="the most requests at once (8)")
    bulk.add_argument("--quiet", action="store_true", help="show no bar")


def _verify(made: _Commands) -> None:
    verify = made.add(
        "verify",
        commands.verified,
        "see whether a bulk run's files are whole",
        "Counts, digests, and whether every image can be decoded.",
    )
    verify.add_argument("place", help="the folder, or the file")


def _replay(made: _Commands) -> None:
    replay = made.add("replay", commands.replay, "draw a PNG again from its recipe, and compare")
    replay.add_argument("image", help="a PNG that the service made")


def _admin(made: _Commands) -> None:
    admin = made.add_group(
        "admin",
        "say which versions of models are served, as an operator",
        "The service must ask for keys, and FORGER_API_KEY be one with the scope admin.",
    )
    admin.add("models", commands.standings, "list every version in the service's directory of models")
    admin.add("reload", commands.reload, "look at the directory now, also at what was refused")
    one_version, name = ("REFERENCE", "name:version"), ("NAME", "the model's name")
    for word, command, (metavar, what), text in (
        ("load", Admin.load, one_version, "serve a version, also one that was unloaded"),
        ("unload", Admin.unload, one_version, "serve a version no more"),
        ("pin", Admin.pin, ("REFERENCE", "name:version, or the name alone"),
         "keep a version current whatever comes; by the name alone, the one that is"),
        ("unpin", Admin.unpin, name, "let the highest version be current again"),
        ("rollback", Admin.rollback, name, "pin the version served before the current one"),
    ):  # fmt: skip
        one = admin.add(word, commands.to_model(command), text)
        one.add_argument("reference", metavar=metavar, help=what)


_COMMANDS: tuple[Callable[[_Commands], None], ...] = (
    _models, _sample, _arithmetic, _walk, _bulk, _verify, _replay, _admin,
)  # fmt: skip


def _add_url(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    told = "the service (FORGER_URL, or http://127.0.0.1:3000); its key is FORGER_API_KEY"
    parser.add_argument("--url", default=default, help=told)


def _add_class(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--class",
        dest="class_label",
        help="a name, an index, random, balanced, or weights such as three=0.6,eight=0.4",
    )


def _add_output(parser: argparse.ArgumentParser, what: str = "a .png, .webp, .jpg or .npy file") -> None:
    parser.add_argument("-o", "--output", required=True, help=what)
