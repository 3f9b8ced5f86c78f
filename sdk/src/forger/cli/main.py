"""``forger``: one image or a million, from the shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from forger import __version__
from forger.cli import commands
from forger.client import Client
from forger.errors import ForgerError

_EXAMPLES = """examples:
  forger models
  forger sample --seed 0 -n 16 --class three -o grid.png
  forger arithmetic "42:0,3,7 - 9:1,2,4 + 5:0,1,2" --class eight --jitter 8 -o sum.png
  forger walk 1@one 2@seven 3@two --steps 30 --loop -o walk.webp
  forger bulk -n 50000 --class balanced --sink wds:out/%05d.tar --resume
  forger verify out/
  forger replay image.png
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry a command out, and end the process: 0 well, 1 not all could be done, 2 wrong use, 130 Ctrl-C."""
    given = _parser().parse_args(arguments)
    try:
        with Client(given.url) as client:
            status = given.run(client, given)
    except ForgerError as error:
        print(f"forger: {error}", file=sys.stderr)
        status = 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        sys.stderr.close()
        status = 1
    except OSError as error:
        print(f"forger: {error}", file=sys.stderr)
        status = 1
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forger",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"forger-client {__version__}")
    _add_url(parser)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: commands.Command, text: str, more: str = "", *, draws: bool = True
    ) -> argparse.ArgumentParser:
        one = subparsers.add_parser(name, help=text, description=f"{text.capitalize()}. {more}")
        one.set_defaults(run=run)
        _add_url(one, default=argparse.SUPPRESS)
        if draws:
            one.add_argument("--model", help="name or name:version; the service's default if left out")
            one.add_argument("--truncation", metavar="MODE:VALUE", help="such as threshold:0.7 or scale:0.7")
        return one

    command("models", commands.models, "list the models", draws=False)

    sample = command("sample", commands.sample, "draw images, as one grid", "One alone carries its recipe.")
    sample.add_argument("-n", type=int, default=1, help="how many (1)")
    sample.add_argument("--seed", type=int, help="a random one if left out, and told")
    sample.add_argument("--index", type=int, default=0, help="the first image of the seed (0)")
    _add_class(sample)
    _add_output(sample)

    arithmetic = command(
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

    walk = command("walk", commands.walk, "draw a path through latents, as an animation")
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

    bulk = command(
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

    verify = command(
        "verify",
        commands.verified,
        "see whether a bulk run's files are whole",
        "Counts, digests, and whether every image can be decoded.",
        draws=False,
    )
    verify.add_argument("place", help="the folder, or the file")

    replay = command("replay", commands.replay, "draw a PNG again from its recipe, and compare", draws=False)
    replay.add_argument("image", help="a PNG that the service made")
    return parser


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
