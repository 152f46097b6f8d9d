"""Parts that installed packages bring: found by name, without an import by whoever asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skeldistill import degradations, shelf

MODULE = """
from skeldistill import degradations
from skeldistill.degradations import Identity


class Stranger(Identity):
    '''Changes nothing, as a stranger does it.'''


degradations.SHELF["Stranger"] = Stranger
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package of one module, as pip would leave it."""

    def install(text: str) -> Path:
        (tmp_path / "strange_parts.py").write_text(text)
        about = tmp_path / "strange-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[{shelf.INSTALLED}]\nany = strange_parts\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        return tmp_path

    shelf.load_installed.cache_clear()
    yield install
    shelf.load_installed.cache_clear()
    degradations.SHELF.pop("Stranger", None)
    sys.modules.pop("strange_parts", None)


def test_a_part_of_an_installed_package_is_found(installed):
    installed(MODULE)
    assert degradations.find("Stranger").__name__ == "Stranger"


def test_a_name_that_nobody_has_still_names_the_nearest(installed):
    installed(MODULE)
    with pytest.raises(ValueError, match="did you mean 'Stranger'"):
        degradations.find("Strangr")


def test_a_module_that_cannot_be_imported_is_one_line_that_names_its_package(installed):
    installed("import no_such_module")
    with pytest.raises(
        ValueError, match=r"^strange_parts, which strange says holds parts.*no_such_module'$"
    ):
        degradations.find("Stranger")
    assert degradations.find("Jitter")  # who asks for nothing strange is not bothered


def test_commands_list_them(installed):
    folder = installed(MODULE)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "skeldistill", "parts", "Stranger"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "as a stranger does it" in done.stdout
