"""The command line: parses arguments, calls the commands, prints faults as one sentence."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from training.errors import Failing, TrainingError
from training.interrupts import at_once
from training.recipes import listing

_CACHE = Path(".cache/forger")
_INTERRUPTED = 130
FAILING = 3
"""Exit code of `doctor` where it names a failure, and of `train` where the run ended for one."""
_LARGEST_EDGE = 1024


def _size(text: str) -> tuple[int, int]:
    """Parse ``64`` or ``48x64`` (height x width)."""
    parts = text.lower().split("x")
    if not 1 <= len(parts) <= 2 or not all(
        part.isdecimal() and 1 <= int(part[:9]) <= _LARGEST_EDGE for part in parts
    ):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size: give 64, or 48x64 for height x width, each at most {_LARGEST_EDGE}"
        )
    return int(parts[0]), int(parts[-1])


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute")
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="CPU threads (default: all)")
    parser.add_argument(
        "--cache", type=Path, default=_CACHE, metavar="DIR", help="where decoded data is kept (%(default)s)"
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        help="mnist5k, digits or gaussian; a folder of class subfolders, of images with a metadata.csv, of "
        "IDX or of parquet files; one .npz, .parquet or IDX file; or hub:OWNER/NAME, hub:OWNER/NAME:SPLIT",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="look at every image of --data, say what is wrong, and stop"
    )
    parser.add_argument("--size", type=_size, help="image size: 64, or 48x64 (height x width)")
    parser.add_argument(
        "--channels",
        type=int,
        choices=[1, 3, 4],
        help="grey, colour, or colour with transparency (default: grey if all images are, else colour)",
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave unreadable images out")
    parser.add_argument("--image-column", metavar="NAME", help="the column of images (default: the only one)")
    parser.add_argument("--label-column", metavar="NAME", help="the column of classes (default: label)")


def _add_train(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train", help="train a generator on a data set")
    _add_data(parser)
    parser.add_argument("--recipe", default="default", help="%(default)s is recommended; `recipes` lists all")
    parser.add_argument("--out", type=Path, metavar="RUN", help="run directory (runs/DATA-RECIPE-SEED)")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with this run; all else is known")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kimg", type=float, metavar="N", help="thousand images to train for, in all")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another setting, as batch_size=32"
    )
    parser.add_argument("--log-every", type=float, metavar="KIMG", help="report the figures this often")
    parser.add_argument("--sample-every", type=float, metavar="KIMG", help="draw a grid this often")
    parser.add_argument("--checkpoint-every", type=float, metavar="KIMG", help="save this often")
    parser.add_argument(
        "--on-failure",
        choices=["warn", "stop", "rollback"],
        help="when the doctor names a failure: say so and go on (the default), save and end, or go back "
        f"to the best averaged weights and end, both with code {FAILING}; --resume takes it too",
    )
    parser.add_argument("--doctor-every", type=float, metavar="KIMG", help="let the doctor look this often")
    parser.add_argument(
        "--export",
        nargs="?",
        const="",
        metavar="NAME",
        help="when trained, judge the generator and write it as a model (named after the data if no NAME)",
    )
    _add_model(parser)
    _add_common(parser)


def _add_evaluate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="judge a run's newest generator or an exported model; writes report.json and report.html",
    )
    parser.add_argument(
        "subject", type=Path, metavar="RUN|MODEL", help="runs/NAME, or an exported models/NAME/VERSION"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws that are judged")
    parser.add_argument(
        "--images", type=int, metavar="N", help="how many draws to judge (as many as held out)"
    )
    parser.add_argument("--weights", choices=["averaged", "raw"], default="averaged", help="of a run")
    parser.add_argument("--truncation", metavar="MODE:VALUE", help="threshold:1.5 or scale:0.7 (none)")
    parser.add_argument(
        "--cas",
        choices=["auto", "yes", "no"],
        default="auto",
        help="train a classifier on draws (where quick)",
    )
    parser.add_argument(
        "--inception",
        type=Path,
        metavar="FILE",
        help="TorchScript file of Inception features, for the standard FID",
    )
    parser.add_argument("--data", help="where a model's training data lies, unless it is an embedded set")
    parser.add_argument("--skip-bad", action="store_true", help="leave unreadable files of --data out")
    parser.add_argument("--image-column", metavar="NAME", help="of --data's table, as in training")
    parser.add_argument("--label-column", metavar="NAME", help="of --data's table, as in training")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="for the report (the run's own; runs/reports/NAME-VERSION for models)",
    )
    _add_common(parser)


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "doctor",
        help="say what went wrong in a run, by which signs, and what to try",
        epilog=f"Ends with code 0 where nothing was found, {FAILING} where something was.",
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    _add_common(parser)


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="write a run's generator as the next version of a model")
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--name", required=True, help="the model's name")
    parser.add_argument("--no-evaluation", action="store_true", help="export without judging the draws")
    _add_model(parser)
    _add_common(parser)


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the exported model")
    group.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="(%(default)s)")
    group.add_argument("--description", default="", help="a sentence for those who will use the model")
    group.add_argument("--licence", default="unspecified", help="an SPDX expression")
    group.add_argument("--float16", action="store_true", help="with a variant in float16, for GPUs")


class _Parser(argparse.ArgumentParser):
    """A parser that names the nearest right word beside a wrong one."""

    def error(self, message: str) -> NoReturn:
        """End with the message and, where one is near, what may have been meant."""
        options, choices = _words_of(self)
        if "unrecognized" in message:
            wrong = [word.partition("=")[0] for word in message.split() if word.startswith("--")]
        else:
            wrong, options = message.split("'")[1:2], choices
        near = [match for word in wrong for match in get_close_matches(word, options, n=1)]
        super().error(f"{message} (did you mean {near[0]}?)" if near else message)


def _words_of(parser: argparse.ArgumentParser) -> tuple[list[str], list[str]]:
    """Return the options and the choices of a parser and of the commands below it."""
    options: list[str] = []
    choices: list[str] = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        options += action.option_strings
        choices += [word for word in action.choices or () if isinstance(word, str)]
        below = action.choices.values() if isinstance(action.choices, dict) else ()
        for command in below:
            more_options, more_choices = _words_of(command)
            options, choices = options + more_options, choices + more_choices
    return options, choices


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("recipes", help="list the recipes, a line each")
    _add_train(commands)
    _add_evaluate(commands)
    _add_doctor(commands)
    _add_export(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0 is good, 1 a fault of the input, 3 a training that fails by the doctor's word, 130 an interrupt.
    """
    options = build_parser().parse_args(arguments)
    if options.command == "recipes":
        print(listing())
        return 0
    with at_once():
        from training import commands  # noqa: PLC0415 - torch takes seconds; help need not wait for it

    command = {
        "train": commands.train,
        "evaluate": commands.evaluate,
        "doctor": commands.doctor,
        "export": commands.export,
    }
    try:
        command[options.command](options)
    except Failing as failing:
        print(f"failing: {failing}", file=sys.stderr)
        return FAILING
    except (TrainingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said and done; more of it would only add noise
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0
