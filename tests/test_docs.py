"""The code in the documents runs as it stands, and the documents name what exists."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from skeldistill import networks, recipe
from skeldistill.cli import app

ROOT = Path(__file__).parent.parent
TAKE_RECIPES = ("run", "train", "distill", "recipes")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(networks, "SHELF", dict(networks.SHELF))  # where a page puts one of its own
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, page.name, "exec"), names)


def commands(page: Path) -> list[list[str]]:
    """Every call of skeldistill in a page's blocks of commands, in words; comments apart."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(skeldistill [^`\n]+)`", text)
    return [shlex.split(line, comments=True) for line in lines if line.startswith("skeldistill ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page):
    for _, *words in commands(page):
        command = typer.main.get_command(app)
        while words and re.fullmatch("[a-z][a-z-]*", words[0]):
            inner = getattr(command, "commands", None)
            if inner is None:
                break
            command = inner[words.pop(0)]
        known = {option for one in command.params for option in one.opts} | {"--help"}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= known, (page.name, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_can_be_read(page):
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```yaml\n(.*?)```|<<END\n(.*?)\nEND", text, re.DOTALL):
        assert recipe.parse(yaml.safe_load("".join(block))).methods


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_that_are_run_ship(page):
    known = {*recipe.shipped(), "RECIPE", "NAME"}
    for _, command, *words in commands(page):
        if command in TAKE_RECIPES and words and not words[0].endswith(".yaml"):
            assert words[0] in known, (page.name, words)
    families = "|".join({name.partition("-")[0] for name in recipe.shipped()})
    for named in re.findall(rf"`((?:{families})-[\w.-]+)`", page.read_text(encoding="utf-8")):
        assert named in known, (page.name, named)


def test_every_file_of_a_formula_has_its_page_on_the_site():
    files = re.findall(r"\]\(\.\./src/([^)]+)\.py\)", (ROOT / "docs/papers.md").read_text("utf-8"))
    documented = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    assert len(set(files)) > 10
    for file in files:
        assert f":: {file.replace('/', '.')}." in documented, file


def test_the_package_has_a_changelog_entry_and_a_licence():
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_every_extra_that_is_asked_for_can_be_had():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(told["project"]["optional-dependencies"])
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    asked = {name for text in texts for name in re.findall(r'require\([^)]*extra="(\w+)"', text)}
    told_of = {
        name
        for page in PAGES
        for names in re.findall(r"pip install [^\n]*\[([\w,]+)\]", page.read_text(encoding="utf-8"))
        for name in names.split(",")
    }
    assert "serve" in asked
    assert asked | told_of <= extras
