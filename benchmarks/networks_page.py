"""Writes the table of docs/networks.md: what networks cost, and how fast they are beside others.

skeldistill cost all --layout ntu25 --format markdown > costs.md
python benchmarks/networks.py --out figures.json
python benchmarks/networks_page.py costs.md figures.json
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from networks import RATIO, Clips

PAGE = Path(__file__).parent.parent / "docs" / "networks.md"
BEGIN, END = "<!-- made by benchmarks/networks_page.py -->\n", "<!-- end -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("costs", type=Path, help="what skeldistill cost has said, as Markdown")
    parser.add_argument("figures", type=Path, help="what benchmarks/networks.py has written")
    parser.add_argument("--page", type=Path, default=PAGE)
    chosen = parser.parse_args()
    figures = json.loads(chosen.figures.read_text(encoding="utf-8"))
    lines = chosen.costs.read_text(encoding="utf-8").splitlines()
    machine = figures["machine"]
    said = (
        f"{machine['processor']}, {machine['cores']} cores, one thread, PyTorch "
        f"{machine['torch']}, {datetime.now(UTC).date()}.\n"
    )
    table = "\n".join(with_ratios(lines, figures["networks"]))
    before, _, rest = chosen.page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    chosen.page.write_text(f"{before}{BEGIN}\n{said}\n{table}\n\n{END}{after}", encoding="utf-8")


def with_ratios(lines: list[str], figures: dict[str, float]) -> list[str]:
    """The table with a column for each number of clips at once."""
    head, rule, *body = lines
    for n in Clips.batches:
        head, rule = f"{head} official / ours, {n} |", f"{rule} ---: |"
        body = [f"{row} {ratio(row, n, figures)} |" for row in body]
    return [head, rule, *body]


def ratio(row: str, n: int, figures: dict[str, float]) -> str:
    name = row.split("|")[1].strip()
    found = figures.get(RATIO.format(name, n))
    return "" if found is None else f"{found:.2f}"


if __name__ == "__main__":
    main()
