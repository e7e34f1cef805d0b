"""Look the pinned packages up among known vulnerabilities.

Without arguments pip-audit asks a service of the network. Where there is none, give the
archive of all advisories that OSV publishes for PyPI, fetched on another machine:

    python tests/security/audit.py constraints.txt
    python tests/security/audit.py constraints.txt --advisories all.zip

The exit code is 0 when every package was looked up and none is known, 1 when some is,
and 2 when the audit could not be made: an audit of nothing is no clean one.
"""

import argparse
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.version import InvalidVersion, Version

COMMAND = [
    "--progress-spinner",
    "off",
    "--disable-pip",
    "--no-deps",
    "--format",
    "json",
]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pins", help="a file of lines NAME==VERSION")
    parser.add_argument("--advisories", help="OSV's archive for PyPI, a zip file")
    options = parser.parse_args(arguments)
    try:
        pins = read_pins(Path(options.pins))
        if options.advisories:
            found = look_up(pins, options.advisories)
        else:
            found = ask_the_service(options.pins)
    except CannotAudit as error:
        sys.stderr.write(f"audit: {error}\n")
        return 2
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(pins)} packages looked up, {len(found)} advisories.\n")
    return 1 if found else 0


class CannotAudit(Exception):
    """Says in one line why there is no answer."""


def read_pins(path):
    """Return the versions of a file, by names as the index writes them."""
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    pins = dict(line.split("==") for line in lines if "==" in line)
    return {normal(name): Version(version) for name, version in pins.items()}


def normal(name):
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def ask_the_service(path):
    """Return a line for every advisory pip-audit knows."""
    command = [sys.executable, "-m", "pip_audit", *COMMAND, "-r", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        kind = reason.partition(":")[0].rpartition(".")[2]
        raise CannotAudit(
            f"the service of vulnerabilities must answer; pip-audit ended with {kind}. "
            "Try again with a network, or give --advisories."
        ) from None
    # A package that the service does not know is skipped, and is no clean one.
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    if skipped or not packages:
        raise CannotAudit(
            "the service of vulnerabilities must know every package; it skipped "
            f"{len(skipped)} of {len(packages)}, {', '.join(skipped[:3]) or 'none'} "
            "first. Try again with a network, or give --advisories."
        )
    return [
        f"{one['name']} {one['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for one in packages
        for vulnerability in one["vulns"]
    ]


def look_up(pins, archive):
    """Return a line for every advisory of an archive that names a pinned version."""
    found, n_read = [], 0
    try:
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                if name.endswith(".json"):
                    advisory = json.loads(zipped.read(name))
                    found += affected(pins, advisory)
                    n_read += 1
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise CannotAudit(
            f"--advisories must be OSV's archive for PyPI; got {archive!r}, which is "
            f"none: {error}. Fetch it again."
        ) from None
    if not n_read:
        raise CannotAudit(
            f"--advisories must hold advisories; got {archive!r} with none. Fetch the "
            "archive of PyPI."
        )
    return found


def affected(pins, advisory):
    if "withdrawn" in advisory:
        return []
    lines = []
    for one in advisory.get("affected", []):
        package = one.get("package", {})
        version = pins.get(normal(package.get("name", "")))
        if package.get("ecosystem") == "PyPI" and version is not None:
            ranges = [
                part["events"] for part in one.get("ranges", [])
                if part["type"] == "ECOSYSTEM"
            ]  # fmt: skip
            named = {version_of(text) for text in one.get("versions", [])}
            if version in named or any(within(version, events) for events in ranges):
                lines.append(f"{normal(package['name'])} {version}: {advisory['id']}")
    return lines


def within(version, events):
    """Whether a version lies between one where it came in and one where it is out."""
    is_in = False
    for event in sorted(events, key=lambda e: version_of(next(iter(e.values())))):
        ((kind, text),) = event.items()
        at = version_of(text)
        if kind == "introduced" and at <= version:
            is_in = True
        elif (kind == "fixed" and at <= version) or (
            kind == "last_affected" and at < version
        ):
            is_in = False
    return is_in


def version_of(text):
    try:
        return Version(text)
    except InvalidVersion:
        # Older than any that is written as versions are.
        return Version("0")


if __name__ == "__main__":
    sys.exit(main())
