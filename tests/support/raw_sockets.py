"""A Socket.IO connection without a client library, to send what no library sends."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import requests
import websocket

SECONDS = 15
SEPARATOR = "\x1e"


def send_bytes(client: websocket.WebSocket, data: bytes) -> None:
    """Send bytes that need not be a WebSocket frame."""
    assert client.sock is not None
    client.sock.sendall(data)


class RawSocket:
    """One WebSocket; unless `connects` is false, with a Socket.IO connection."""

    def __init__(self, url: str, token: str | None = None, *, connects: bool = True) -> None:
        address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        self.websocket = websocket.create_connection(address, timeout=SECONDS)
        if connects:
            self.send("40" + (json.dumps({"token": token}) if token else ""))
            self.wait_for('40{"sid"')

    def send(self, text: str | bytes) -> None:
        if isinstance(text, bytes):
            self.websocket.send_binary(text)
        else:
            self.websocket.send(text)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that need not be a WebSocket frame."""
        send_bytes(self.websocket, data)

    def emit(self, event: Any, *payload: Any, id: int | str = "") -> None:
        self.send(f"42{id}{json.dumps([event, *payload])}")

    def wait_for(self, start: str) -> str:
        """Return the next packet that begins with `start`; skip others, and answer pings."""
        deadline = time.monotonic() + SECONDS
        while True:
            received = self.websocket.recv()
            packet = received if isinstance(received, str) else received.decode()
            assert time.monotonic() < deadline, f"{start!r} did not come"
            assert packet, f"closed before {start!r} came"
            if packet == "2":
                self.send("3")
            if packet.startswith(start):
                return packet

    def call(self, event: Any, *payload: Any) -> Any:
        """Send an event and return its acknowledgement."""
        self.emit(event, *payload, id=7)
        return json.loads(self.wait_for("437").removeprefix("437"))[0]

    def event(self, name: str) -> Any:
        """Return the payload of the next event with this name."""
        return json.loads(self.wait_for(f'42["{name}"')[2:])[1]

    def is_closed_by_the_server(self) -> bool:
        """Wait for the server to close the socket; return whether it did within the timeout."""
        try:
            while self.websocket.recv():
                continue
        except websocket.WebSocketTimeoutException:
            return False
        except (websocket.WebSocketException, OSError):
            pass
        return True

    def close(self) -> None:
        # Needed also after the server has closed: the client's end is still open.
        self.websocket.shutdown()


class RawPolling:
    """One polling session."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/socket.io/?EIO=4&transport=polling"
        opened = requests.get(self._url, timeout=SECONDS)
        assert opened.status_code == 200, opened.text
        found = re.search(r'"sid":"([^"]+)"', opened.text)
        assert found
        self._url += f"&sid={found[1]}"

    def post(self, *packets: str) -> requests.Response:
        body = SEPARATOR.join(packets).encode()
        return requests.post(self._url, data=body, timeout=SECONDS)

    def get(self) -> requests.Response:
        return requests.get(self._url, timeout=3 * SECONDS)

    def packets_until(self, start: str) -> list[str]:
        """Return the packets up to the first one that begins with `start`."""
        packets: list[str] = []
        while not packets or not packets[-1].startswith(start):
            answer = self.get()
            assert answer.status_code == 200, answer.text
            for packet in answer.text.split(SEPARATOR):
                packets.append(packet)
                if packet.startswith(start):
                    break
        return packets
