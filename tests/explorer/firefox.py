"""A Firefox without a window, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).

Playwright drives only a Firefox of its own build; BiDi drives the one that people have.
"""

import json
import subprocess
import time
from contextlib import contextmanager
from itertools import count

from websockets.sync.client import connect


class Firefox:
    """One tab; what it complains about is collected in `complaints`."""

    def __init__(self, socket):
        self.socket, self.numbers, self.complaints = socket, count(), []
        self.command("session.new", capabilities={})
        self.command("session.subscribe", events=["log.entryAdded"])
        self.tab = self.command("browsingContext.getTree")["contexts"][0]["context"]

    def command(self, method, **params):
        """Send a command; returns its result, or raises what Firefox says is wrong."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=30))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.complaints.append(message["params"]["text"])
            if message.get("id") == number:
                assert message["type"] == "success", message
                return message["result"]

    def open(self, address):
        """Open a page, and wait until it is complete.

        A page that was there may be about to write its address, which would count as the end of the
        way to the next one.
        """
        for url in ("about:blank", address):
            self.command("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def evaluate(self, expression):
        """The value of an expression of the page, which JSON must be able to hold."""
        found = self.command(
            "script.evaluate",
            expression=f"JSON.stringify({expression})",
            target={"context": self.tab},
            awaitPromise=True,
        )
        assert found["type"] == "success", found["exceptionDetails"]["text"]
        return json.loads(found["result"]["value"])

    def act(self, kind, *actions, **options):
        """Move a pointer or press keys."""
        source = {"type": kind, "id": kind, "actions": list(actions)} | options
        self.command("input.performActions", context=self.tab, actions=[source])


@contextmanager
def started(program, profile):
    """Start Firefox with an empty profile and connect to it; it ends with the block."""
    command = [program, "--headless", "--no-remote", "--profile", str(profile)]
    process = subprocess.Popen(
        [*command, "--remote-debugging-port=0", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        server = profile / "WebDriverBiDiServer.json"
        end = time.monotonic() + 60
        while not server.exists() or not (text := server.read_text()):
            assert time.monotonic() < end, "Firefox does not say where to reach it"
            assert process.poll() is None, "Firefox ended"
            time.sleep(0.1)
        place = json.loads(text)
        address = f"ws://{place['ws_host']}:{place['ws_port']}/session"
        with connect(address, max_size=None, proxy=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait(timeout=30)
