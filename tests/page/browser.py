"""A headless Chromium, driven over its debugging pipe: Python's standard library only.

Everything the browser asks for and everything it complains of is kept, so that a test can say that a page
asked no other host and raised no error.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# It asks nobody but who is tested: the browser itself would look for updates and word lists.
_FLAGS = ("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--mute-audio",
          "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync",
          "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
          "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


def chromium():
    """The browser's path, or None."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


class BrowserError(RuntimeError):
    pass


class Browser:
    """One tab. A context: the browser ends with it."""

    def __init__(self, path):
        self.profile = tempfile.mkdtemp(prefix="penstock-browser-")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        self.log = open(os.path.join(self.profile, "log"), "wb")

        def take_pipe():  # the browser reads 3 and writes 4
            low, high = os.dup(to_browser), os.dup(from_browser)
            os.dup2(low, 3)
            os.dup2(high, 4)

        self.process = subprocess.Popen(
            [path, *_FLAGS, f"--user-data-dir={self.profile}", "about:blank"], preexec_fn=take_pipe,
            close_fds=False, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(to_browser)
        os.close(from_browser)
        self._next = 1
        self._buffer = b""
        self._loads = 0
        self.requests = []  # URLs
        self.complaints = []
        self._session = None
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._out)
        os.close(self._in)
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    # What a test does.

    def size(self, width, height, *, phone=False):
        self._call("Emulation.setDeviceMetricsOverride",
                   {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone})

    def colours(self, scheme):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._call("Emulation.setEmulatedMedia", {"features": [feature]})

    def open(self, url):
        """Returns once the page and its scripts are loaded."""
        before = self._loads
        self._call("Page.navigate", {"url": url})
        until = time.monotonic() + 30
        while self._loads == before:
            if time.monotonic() > until:
                raise BrowserError(f"{url}: not loaded within 30 s")
            self._listen(0.1)

    def run(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self._call("Runtime.evaluate", {"expression": expression, "returnByValue": True,
                                                 "awaitPromise": True})
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression, what, patience_s=30):
        """Until the expression is true; its value."""
        until = time.monotonic() + patience_s
        while True:
            try:
                value = self.run(expression)
            except BrowserError:  # between one document and the next
                value = None
            if value:
                return value
            if time.monotonic() > until:
                seen = self.run("document.body.innerText")
                raise BrowserError(f"{what}: not within {patience_s} s; the page says\n{seen}")
            self._listen(0.1)

    def press(self, key, *, shift=False):
        codes = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27}
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", {
                "type": kind, "key": key, "code": {" ": "Space"}.get(key, key), "modifiers": 8 if shift else 0,
                "windowsVirtualKeyCode": codes[key], "text": text if kind == "keyDown" else ""})

    def type(self, text):
        self._call("Input.insertText", {"text": text})

    def picture(self, path):
        data = self._call("Page.captureScreenshot", {"format": "png"})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    # How it is spoken to: JSON, each message ended by a zero byte.

    def _call(self, method, parameters=None):
        identity = self._next
        self._next += 1
        message = {"id": identity, "method": method, "params": parameters or {}}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for answer in self._listen(1):
                if answer.get("id") == identity:
                    if "error" in answer:
                        raise BrowserError(f"{method}: {answer['error']}")
                    return answer["result"]
        raise BrowserError(f"{method}: no answer within 60 s")

    def _listen(self, patience_s):
        """Messages that have come; events among them are kept."""
        if select.select([self._in], [], [], patience_s)[0]:
            more = os.read(self._in, 1 << 20)
            if not more:
                with open(self.log.name, encoding="utf-8", errors="replace") as log:
                    raise BrowserError(f"the browser ended: {log.read()[-2000:]}")
            self._buffer += more
        *whole, self._buffer = self._buffer.split(b"\0")
        messages = [json.loads(text) for text in whole]
        for message in messages:
            self._keep(message.get("method"), message.get("params", {}))
        return messages

    def _keep(self, method, event):
        if method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loads += 1
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["exceptionDetails"])[:2000])
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(event["args"])[:2000])
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{event['entry']['text']} {event['entry'].get('url', '')}")
