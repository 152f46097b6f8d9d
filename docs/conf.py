"""The documentation site: `make docs` builds it into docs/_build."""

from skeldistill import __version__

project = "skeldistill"
author = "The skeldistill authors"
copyright = "The skeldistill authors, Apache-2.0"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
suppress_warnings = ["myst.xref_missing"]  # links into the source tree, which the site leaves out
html_theme = "furo"
html_title = "skeldistill"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
