"""The site: `make docs`. Every example runs while it is built."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "examples"))  # what the examples share

project = "iconet"
author = "the iconet contributors"
copyright = "the iconet contributors"
version = release = version_of("iconet")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["examples/**", "benchmark/through-plane/tables.md"]  # through-plane.md has them
default_role = "literal"  # docstrings are Markdown: `name`

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # signatures have them
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
# The names of other packages lead nowhere: the build needs no network.
nitpick_ignore_regex = [("py:.*", r"(?!iconet\.).*")]

sphinx_gallery_conf = {
    "examples_dirs": ["examples/tutorials", "examples/gallery"],
    "gallery_dirs": ["tutorials", "gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "capture_repr": (),
    "min_reported_time": 600,
    "thumbnail_size": (400, 280),
    "remove_config_comments": True,
    "write_computation_times": False,
}

html_theme = "furo"
html_title = "iconet"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {
    "source_directory": "docs/",
    "footer_icons": [],
}
