"""A server of archives on this machine, with the faults servers and networks have."""

import gzip
import hashlib
import io
import threading
import time
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "data" / "ml-latest-small"
#: What the archive of the shipped set holds, by name.
FILES = {
    f"{name}.csv": gzip.decompress((SHIPPED / f"{name}.csv.gz").read_bytes())
    for name in ("links", "movies", "ratings", "tags")
} | {"README.txt": (SHIPPED / "README.txt").read_bytes()}


def make_zip(members):
    """Return the bytes of a zip file: contents by name, or by a ZipInfo."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return stream.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@contextmanager
def serving(contents):
    """Serve contents by path; yield a server with `url`, `requests` and `fault`.

    `fault` is None, or "cut off", "changed", "missing", "silent", "endless" or "slow".
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.requests.append(self.path)
            content = contents.get(self.path)
            if content is None or server.fault == "missing":
                self.send_error(404)
                return
            if server.fault == "silent":
                server.over.wait()
                return
            self.send_response(200)
            if server.fault != "endless":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            for piece in self.pieces(content):
                try:
                    self.wfile.write(piece)
                except OSError:  # who asked is gone
                    break

        def pieces(self, content):
            if server.fault == "cut off":
                yield content[: len(content) // 2]
            elif server.fault == "changed":
                yield content[:-1] + bytes([content[-1] ^ 1])
            elif server.fault == "endless":
                while not server.over.is_set():
                    yield content
            elif server.fault == "slow":
                for start in range(0, len(content), 1 << 14):
                    yield content[start : start + (1 << 14)]
                    time.sleep(0.002)
            else:
                yield content

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.requests, server.fault, server.over = [], None, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}/datasets"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
