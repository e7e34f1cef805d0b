"""Write data, scripts and styles so that a page can hold them and nothing else runs."""

import base64
import hashlib
import json
import re

import numpy as np

__all__ = ["as_json", "content_security_policy", "join_modules"]

#: Characters that end a script element, or a line of JavaScript, where they stand raw.
_ESCAPED = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
    }
)
_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function|class) )", re.MULTILINE)


def as_json(value):
    r"""Write plain values and arrays as JSON that may stand in a script element.

    Parameters
    ----------
    value : dict, list, str, number, bool, None or ndarray
        Nested in any way. An array becomes its kind, its shape and base64 of its
        little-endian values; integers are written in the fewest bytes that hold them,
        float64 and float32 as they are.

    Returns
    -------
    str
        NaN and infinity are only possible in arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.inspection._explorer_encoding import as_json
    >>> print(as_json({"title": "</b>", "ids": np.array([1, 258])}))
    {"title":"\u003c/b\u003e","ids":{"kind":"u2","shape":[2],"data":"AQACAQ=="}}
    """
    text = json.dumps(
        value, default=_encode, separators=(",", ":"), allow_nan=False,
        ensure_ascii=False,
    )  # fmt: skip
    return text.translate(_ESCAPED)


def _encode(value):
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"`value` must be plain or an array; got {type(value)}.")
    kind = _kind(value)
    data = np.ascontiguousarray(value, dtype=f"<{kind}").tobytes()
    return {
        "kind": kind,
        "shape": list(value.shape),
        "data": base64.b64encode(data).decode("ascii"),
    }


def _kind(values):
    """Return the smallest type that holds the values exactly."""
    if values.dtype.kind == "f":
        return "f4" if values.dtype.itemsize <= 4 else "f8"
    if values.dtype.kind == "b":
        return "u1"
    low, high = (int(bound) for bound in (values.min(initial=0), values.max(initial=0)))
    for kind in ("u1", "u2", "u4") if low >= 0 else ("i1", "i2", "i4"):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return kind
    raise ValueError(f"`values` must fit 32 bits; got {low} to {high}.")


def join_modules(sources):
    """Join ES modules, each after those it imports, into one script.

    Parameters
    ----------
    sources : list of str
        Each declares names of its own; what it imports stands before it.

    Returns
    -------
    str
        One function in strict mode, without imports and exports.
    """
    bodies = [_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources]
    return "(() => {\n'use strict';\n" + "\n".join(bodies) + "})();\n"


def content_security_policy(script, style, sections=""):
    """Allow one script and one style, and no connection.

    Parameters
    ----------
    script, style : str
        What stands in the elements, character by character.
    sections : str, default=""
        Foreign HTML: its style elements and attributes are allowed, scripts are not.

    Returns
    -------
    str
        Content of the meta element.
    """
    styles = [style, *re.findall(r"<style[^>]*>(.*?)</style>", sections, re.DOTALL)]
    hashes = " ".join(dict.fromkeys(map(_hash, styles)))
    rules = [
        "default-src 'none'",
        f"script-src {_hash(script)}",
        f"style-src {hashes}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    if re.search(r"\sstyle\s*=", sections):
        # An attribute can colour its element, and nothing more.
        rules.append("style-src-attr 'unsafe-inline'")
    return "; ".join(rules)


def _hash(text):
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
