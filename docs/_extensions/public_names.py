"""What of the package stands in the reference, and under which names it is found.

``skpopsteer.SteeredRecommender`` is described as
``skpopsteer.steering.SteeredRecommender``; pages and examples may use either name.
"""

from docutils import nodes

import skpopsteer


def _skip(app, what, name, obj, skip, options):
    """Leave out what scikit-learn's classes bring along; it is described there."""
    function = getattr(obj, "fget", obj)
    module = getattr(function, "__module__", None) or "skpopsteer"
    return True if not module.startswith("skpopsteer") else None


def _add(app, env):
    """Enter the short names, and those of methods, as other names of the long ones."""
    objects = env.get_domain("py").objects
    for full, entry in list(objects.items()):
        parts = full.split(".")
        if len(parts) > 2 and parts[2] in skpopsteer.__all__:
            short = ".".join([parts[0], *parts[2:]])
            objects.setdefault(short, entry._replace(aliased=True))
    return []


def _unlink(app, doctree):
    """Take ``ndcg@10`` for what it is, and not for an address of mail."""
    for node in list(doctree.findall(nodes.reference)):
        if node.get("refuri", "").startswith("mailto:"):
            node.replace_self(nodes.Text(node.astext()))


def setup(app):
    """Connect all three."""
    app.connect("doctree-read", _unlink)
    app.connect("autodoc-skip-member", _skip)
    app.connect("env-updated", _add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
