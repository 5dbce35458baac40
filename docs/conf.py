"""Configuration of the documentation site; build it with ``sphinx-build -W docs build/docs``."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "oodbench"
author = "The oodbench developers"
project_copyright = author
version = release = installed_version("oodbench")

extensions = [
    "accessible_pages",
    "command_help",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["extensions"]

# Single backticks in docstrings name Python objects; what has no page of its own is set as code.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
smartquotes = False  # docstrings quote code
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "oodbench"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
