"""A run's curves, figures, answers and recipe on one page; or those of several runs, to compare.

``python -m training.report RUN [RUN ...]`` writes an HTML file that needs nothing else. A run may
still be going on: the page shows what is known so far. Ends with 0, or with 2 where it cannot run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.entry import interruptible
from training.report_data import ReportError, read_runs
from training.report_page import page
from training.writing import whole_file


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.report", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run's output folder")
    parser.add_argument("--output", type=Path, default=Path("report.html"), help="the page")
    options = parser.parse_args(arguments)
    if options.output.suffix != ".html":
        parser.error(f"--output {options.output} is no page: give it a name that ends with .html")
    return options


@interruptible("no page was written.")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parse(arguments)
    try:
        runs = read_runs(options.runs)
        with whole_file(options.output) as output:
            output.write(page(runs))
    except (ReportError, OSError) as error:
        print(f"training.report: {error}", file=sys.stderr)
        return 2
    names = ", ".join(run.name for run in runs)
    print(f"{names} at step {', '.join(f'{run.steps:,}' for run in runs)}: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
