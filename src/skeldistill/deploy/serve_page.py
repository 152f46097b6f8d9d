"""The page: one text that needs nothing from anywhere else, and says so to the browser."""

import base64
import hashlib
import re
from functools import cache
from importlib import resources

PARTS = ("page.css", "draw.js", "panels.js", "page.js")
"""What is put into the page, in place of its name in double braces."""


@cache
def page() -> str:
    """The page with its style and scripts in it."""
    folder = resources.files("skeldistill.deploy") / "pages"
    text = (folder / "page.html").read_text(encoding="utf-8")
    for name in PARTS:
        text = text.replace(
            f"{{{{ {name} }}}}", (folder / name).read_text(encoding="utf-8").rstrip()
        )
    return text


@cache
def headers() -> dict[str, str]:
    """What every answer says to the browser: run what stands in the page, and nothing else."""
    allowed = {
        "default-src": "'none'",
        "script-src": " ".join(_sums("script")),
        "style-src": " ".join(_sums("style")),
        "img-src": "data: blob:",
        "media-src": "blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{key} {value}" for key, value in allowed.items()),
        "permissions-policy": "camera=(self), microphone=(), geolocation=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }


def _sums(tag: str) -> list[str]:
    """The checksums of all elements of a kind, by which the browser knows them."""
    texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page(), re.DOTALL)
    sums = [hashlib.sha256(text.encode()).digest() for text in texts]
    return [f"'sha256-{base64.b64encode(one).decode()}'" for one in sums]
