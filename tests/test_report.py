import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import program
from fake_results import fake

from skeldistill.report import page, tables

VOID = {"meta", "link", "input", "br", "hr", "img"}
HOSTILE = "<script>alert('x')</script> & \"$x_1\" 50% | =1+1"


class Strict(HTMLParser):
    """Fails on tags that do not close in order; gathers addresses and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]
        assert not [key for key, _ in attrs if key.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.text.append(data)


def parsed(text: str) -> Strict:
    parser = Strict()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def words(text: str) -> str:
    return " ".join(" ".join(parsed(text).text).split())


@pytest.fixture(scope="module")
def results() -> dict:
    return fake()


@pytest.fixture(scope="module")
def html(results: dict) -> str:
    return page.render(results)


def without(results: dict, *keys: str) -> dict:
    """The results with some keys of every method and of the whole left out."""
    kept = {key: value for key, value in results.items() if key not in keys}
    kept["methods"] = [
        {key: value for key, value in m.items() if key not in keys} for m in results["methods"]
    ]
    return kept


def test_the_page_says_what_the_results_say(results: dict, html: str):
    said = words(html)
    for m in results["methods"]:
        assert m["name"] in said
        assert f"{m['top1']['mean']:.1f} ±" in said
    for comparison in results["comparisons"]:
        assert comparison["sentence"] in said
    for fact in ("3.07 M", "1.94 G", "12.3 ms", results["command"], "epochs: 30", "1 h 12 min"):
        assert fact in said
    assert said.count("31 clips gained, 12 lost; McNemar's exact test p = 0.005") == 2
    assert said.count("▲ above noise") == 1
    assert said.count("○ within noise") == 1


def test_the_page_asks_nobody_for_anything(html: str):
    parser = parsed(html)
    assert all(address.startswith(("#", "data:")) for address in parser.addresses)
    assert not re.search(r"https?:|@import|url\(", html)
    assert not {"img", "iframe", "object", "embed"} & set(parser.tags)


@pytest.mark.parametrize(("classes", "clip_count", "frames"), [(60, 12, 300), (400, 2, 30)])
def test_the_page_stays_small(classes: int, clip_count: int, frames: int):
    text = page.render(fake(classes=classes, clip_count=clip_count, frames=frames))
    parsed(text)
    assert len(text.encode()) < 5_000_000


def test_names_are_text_never_markup(results: dict):
    hostile = json.loads(json.dumps(results).replace("golf swing", "GOLF"))
    hostile["classes"] = [HOSTILE for _ in hostile["classes"]]
    for key in ("title", "command", "recipe_yaml", "created"):
        hostile[key] = HOSTILE
    for place, m in enumerate(hostile["methods"]):
        m["name"] = f"{HOSTILE} {place}"
        m["description"] = m["network"] = HOSTILE
        for curve in m["curves"]:
            for epoch in curve["epochs"]:
                epoch["terms"] = {HOSTILE: 1.0}
    for clip in hostile["clips"]:
        clip["id"] = HOSTILE
        clip["said"] = {m["name"]: 0 for m in hostile["methods"]}
    hostile["comparisons"][0]["sentence"] = HOSTILE
    text = page.render(hostile)
    parser = parsed(text)
    assert parser.tags.count("script") == 2
    assert "<script>alert" not in text
    assert HOSTILE in " ".join(parser.text)
    assert json.loads(embedded(text))["names"][0] == HOSTILE


def embedded(text: str) -> str:
    return re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)[0]


def test_the_page_says_what_above_noise_means(html: str):
    assert "leaves out zero, that the test by clip has p below 0.05" in html


def test_one_seed_has_no_interval_and_says_so():
    one = fake(runs=1)
    said = words(page.render(one))
    top1 = f"{one['methods'][1]['top1']['mean']:.1f}"
    assert top1 in said
    assert f"{top1} ±" not in said
    assert "One seed on one split: accuracies have no interval" in said
    assert "one seed cannot tell this from noise" in said
    assert "best, above noise" not in said


def test_one_seed_on_several_splits_says_the_same_everywhere():
    """Table, sentence and marks agree that there was one seed."""
    one = fake(runs=3) | {"seeds": [0]}
    unsure = {"seeds": 1, "above_noise": False}
    one["comparisons"] = [comparison | unsure for comparison in one["comparisons"]]
    said = words(page.render(one))
    assert "over 3 runs. All of one seed, which cannot tell gain from noise." in said
    assert "one seed cannot tell this from noise" in said
    assert said.count("○ one seed") == 2
    assert "within noise" not in said


def test_the_note_says_on_which_clips_the_gap_was_measured(results: dict):
    told = "from student to teacher on the 170 test clips that both views have, where these reach "
    left = "63.9 and 84.2 %; 21 have only the high view and 9 have only the low view."
    for text in (words(page.render(results)), tables.as_markdown(results)):
        assert told + left in text
    whole = results | {"gap": results["gap"] | {"only_high": 0, "only_low": 0}}
    assert tables.note(whole).endswith("Gap closed: the share of the way from student to teacher.")
    assert "Gap closed" not in tables.note(results | {"gap": None})


@pytest.mark.parametrize(
    "keys",
    [
        ("part_matrix", "curves"),
        ("confusion",),
        ("per_class",),
        ("per_class", "confusion"),
        ("clips", "comparisons", "machine", "seconds", "recipe_yaml", "command"),
        ("top5", "gap_closed", "gap", "parameters", "multiply_adds", "latency_ms", "description"),
        ("classes",),
    ],
)
def test_missing_things_are_left_out(results: dict, keys: tuple[str, ...]):
    parsed(page.render(without(results, *keys)))


@pytest.mark.parametrize("kept", [[], ["teacher"], ["student"], ["SKD"], ["teacher", "student"]])
def test_any_methods_may_be_missing(results: dict, kept: list[str]):
    some = results | {"methods": [m for m in results["methods"] if m["name"] in kept]}
    said = words(page.render(some))
    assert ("no distilled student was trained" in said) == (bool(kept) and "SKD" not in kept)
    for shape in (tables.as_csv, tables.as_latex, tables.as_markdown, tables.as_text):
        shape(some)


def test_the_file_appears_whole_or_not_at_all(results: dict, tmp_path: Path):
    path = tmp_path / "report.html"
    page.write(results, path)
    assert path.read_text(encoding="utf-8").endswith("</html>")
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        page.write(results | {"methods": ["not a method"]}, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        page.write(results, tmp_path / "folder")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "report.html"]
    page.write(results, tmp_path / "nowhere" / "report.html")
    assert (tmp_path / "nowhere" / "report.html").exists()


CLICKS = """<script>
const said = (name, value) => document.body.setAttribute("data-" + name, value);
const names = () => [...document.querySelectorAll(".methods tbody:last-child th")]
  .map((cell) => cell.firstChild.textContent.trim()).join();
const button = document.querySelectorAll(".sortable thead button")[1];
button.click(); said("first", names()); button.click(); said("second", names());
const clip = document.querySelector(".clip"), joint = clip.querySelectorAll(".joint")[9];
const slider = clip.querySelector("input"), was = joint.getAttribute("cy");
slider.value = 100; slider.dispatchEvent(new Event("input"));
said("scrubbed", joint.getAttribute("cy") !== was);
clip.querySelector(".play").click();
const waiting = setInterval(() => { if (slider.value === "100") return;
  clearInterval(waiting); said("played", true); clip.querySelector(".play").click();
  said("paused", clip.querySelector(".play").getAttribute("aria-label")); }, 50);
const picture = document.querySelector(".matrix svg"), box = picture.getBoundingClientRect();
picture.dispatchEvent(new PointerEvent("pointermove",
  { clientX: box.right - 12 * box.width / 524, clientY: box.bottom - 12 * box.width / 524 }));
said("pointed", document.querySelector(".under-pointer").textContent);
said("fits", document.documentElement.scrollWidth <= innerWidth);
</script></body>"""


def test_a_browser_sorts_plays_and_points(results: dict, tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text(page.render(results).replace("</body>", CLICKS), encoding="utf-8")
    options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-sync --dump-dom"
    quiet = "--disable-background-networking --disable-component-update --virtual-time-budget=20000"
    command = [program(), *options.split(), *quiet.split(), f"--user-data-dir={tmp_path / 'home'}"]
    dumped = subprocess.run([*command, path.as_uri()], capture_output=True, timeout=60, check=True)
    body = re.findall(r"<body[^>]*>", dumped.stdout.decode())[0]
    told = dict(re.findall(r'data-(\w+)="([^"]*)"', body))
    low = [m for m in results["methods"] if m["view"] == "low"]
    order = [m["name"] for m in sorted(low, key=lambda m: -m["top1"]["mean"])]
    assert told["first"].split(",") == order
    assert told["second"].split(",") == order[::-1]
    assert told["pointed"].startswith("throw 11, said so: ")
    assert (told["scrubbed"], told["played"], told["paused"]) == ("true", "true", "Play")
    assert told["fits"] == "true"
