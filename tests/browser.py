"""A headless Chromium for tests, told what to do over a pair of pipes (DevTools protocol)."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

QUIET = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-sync --mute-audio "
    "--disable-background-networking --disable-component-update --remote-debugging-pipe "
    "--disable-dev-shm-usage --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
PATIENCE = 60.0


def program() -> str:
    """The browser that is installed; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium here; install it (apt-get install chromium) to test the page")
    return found


class Browser:
    """One page in a browser of its own; used with ``with``. Skips the test where there is none."""

    def __init__(self, home: Path) -> None:
        installed = program()
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        # it reads from 3 and writes to 4, numbers that a shell can give to the pipes
        shell = f'exec "$@" 3</dev/fd/{theirs_in} 4>/dev/fd/{theirs_out}'
        command = [installed, *QUIET.split(), f"--user-data-dir={home}", "about:blank"]
        self._process = subprocess.Popen(
            ["sh", "-c", shell, "sh", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs_in, theirs_out),
        )
        for end in (theirs_in, theirs_out):
            os.close(end)
        self._said, self._count, self._session = b"", 0, None
        self.errors: list[str] = []

    def __enter__(self) -> "Browser":
        targets = self("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = self("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for end in (self._in, self._out):
            os.close(end)

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        self._count += 1
        told = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            told["sessionId"] = self._session
        os.write(self._out, json.dumps(told).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def go(self, address: str) -> None:
        """Load a page."""
        self("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        result = self("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait until an expression in the page is something."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if value := self.run(script):
                return value
            time.sleep(0.1)
        raise AssertionError(
            f"not within {PATIENCE:.0f} s: {script}; {self.run('document.body.innerText')}"
        )

    def give(self, selector: str, file: Path) -> None:
        """Choose a file as a user does."""
        root = self("DOM.getDocument")["root"]["nodeId"]
        node = self("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def size(self, width: int, height: int, scale: float = 1, *, dark: bool = False) -> None:
        """Be a screen of so many pixels."""
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 500,
        )
        scheme = "dark" if dark else "light"
        self(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def picture(self, path: Path) -> None:
        """Save what is to be seen, as PNG."""
        shot = self("Page.captureScreenshot", format="png", captureBeyondViewport=False)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._said:
            ready, _, _ = select.select([self._in], [], [], PATIENCE)
            assert ready, "the browser says nothing"
            piece = os.read(self._in, 2**20)
            assert piece, "the browser has ended"
            self._said += piece
        line, _, self._said = self._said.partition(b"\0")
        message = json.loads(line)
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(message["params"]["exceptionDetails"]["exception"]["description"])
        if message.get("method") == "Log.entryAdded":
            entry = message["params"]["entry"]
            if entry["level"] == "error":
                self.errors.append(entry["text"])
        return message
