"""A process that exports metrics as an expert service of another version would."""

import http.server
import threading

_TEXT = b"""# TYPE penstock_build_info gauge
penstock_build_info{service="expert",version="0.0.0"} 1
"""


class Stranger:
    """Is scraped from the start, at `metrics`, and says what it is between appear() and vanish()."""

    def __init__(self):
        self._seen = threading.Event()
        seen = self._seen

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802, the library's name
                body = _TEXT if seen.is_set() else b""
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Scrapes are nobody's news."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.metrics = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def appear(self):
        self._seen.set()

    def vanish(self):
        self._seen.clear()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
