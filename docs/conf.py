"""Configuration of the documentation, which ``make docs`` builds."""

import os
import pathlib
import sys

DOCS = pathlib.Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / "_extensions")]
# The examples print the same figures on any number of cores.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from skpopsteer import __version__  # noqa: E402

project = "skpopsteer"
author = "The skpopsteer developers"
project_copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    # Of this project, in docs/_extensions.
    "generated_pages",
    "local_links",
    "mathml",
    "public_names",
]
exclude_patterns = [
    "_build",
    "whats_new/changelog.md",
    "whats_new/upcoming.md",
    "whats_new/upcoming_changes",
]
templates_path = ["_templates"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}

# Pages are Markdown.
myst_enable_extensions = [
    "amsmath",
    "colon_fence",
    "deflist",
    "dollarmath",
]
myst_heading_anchors = 3

# The reference is made from docstrings. What is inherited from scikit-learn is
# described there; nothing is looked up in the network.
autosummary_generate = True
autodoc_member_order = "groupwise"
autodoc_typehints = "none"
numpydoc_show_class_members = False
python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries_show_parents = "hide"
nitpick_ignore_regex = [
    (r"py:.*", r"(sklearn|numpy|scipy|torch|joblib|pandas|polars|matplotlib)\b.*")
]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "gallery.sort_key",
    "reset_modules": ("matplotlib", "gallery.reset_logging"),
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skpopsteer",),
    "capture_repr": ("_repr_html_",),
    "abort_on_example_error": True,
    "parallel": True,
    "plot_gallery": "True",
    "default_thumb_file": str(DOCS / "_static" / "knob.svg"),
    "download_all_examples": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skpopsteer"
html_static_path = ["_static"]
html_css_files = ["skpopsteer.css"]
html_favicon = html_logo = "_static/knob.svg"
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"index": [], "tutorial": [], "glossary": [], "metrics": []}
html_theme_options = {
    "logo": {"text": "skpopsteer", "alt_text": "skpopsteer, to the front page"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
