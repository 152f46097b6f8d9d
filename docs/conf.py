"""The documentation site: `make docs` builds it into docs/_build."""

import posixpath
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx import addnodes
from sphinx.util import logging

from skeldistill import __version__

project = "skeldistill"
author = "The skeldistill authors"
copyright = "The skeldistill authors, Apache-2.0"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "skeldistill"
html_math_renderer = "mathml"
autodoc_typehints = "description"
autodoc_member_order = "bysource"

SOURCE = Path(__file__).resolve().parent.parent / "src"


def inline(translator, node):
    """A formula in a line, as MathML: browsers draw it themselves, also without network."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def display(translator, node):
    """A formula on lines of its own; one that is wider than a phone is moved sideways."""
    formula = convert(node.astext(), display="block")
    translator.body.append(f'<div style="overflow: auto hidden; padding: 0.4em 0">{formula}</div>')
    raise nodes.SkipNode


def lead_to_source(app, doctree, docname):
    """Turn links to files of the package, which work on a code host, to the site's pages of them.

    There is a page for every file of which the reference documents something.
    """
    if app.builder.format != "html":
        return
    for node in doctree.findall(addnodes.download_reference):
        path = (Path(app.srcdir) / docname).parent / node["reftarget"]
        if not path.resolve().is_relative_to(SOURCE):
            continue
        module = path.resolve().relative_to(SOURCE).with_suffix("").as_posix()
        if not getattr(app.env, "_viewcode_modules", {}).get(module.replace("/", ".")):
            told = logging.getLogger(__name__)
            told.warning("no page of %s: document something of it in reference.md", module)
        page = app.builder.get_relative_uri(docname, posixpath.join("_modules", module))
        node.replace_self(nodes.reference("", "", *node.children, refuri=page, internal=True))


def setup(app):
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    app.connect("doctree-resolved", lead_to_source)
