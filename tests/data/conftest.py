"""Small files of the real formats, and a data set whose pixels say which image they are."""

import io
import socketserver
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval_lib.data import image_set


def jpeg(value: int, size: int = 32) -> bytes:
    """A plain grey JPEG image."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), (value, value, value)).save(file, "JPEG")
    return file.getvalue()


def jpeg_arrays(train: int = 20, test: int = 10) -> dict[str, np.ndarray]:
    """What the JPEG copy of CIFAR-10 holds, with fewer images: image i is plainly grey of value 8 i."""
    arrays = {"names": np.array([f"class {c}" for c in range(10)])}
    for part, count, first in (("train", train, 0), ("test", test, train)):
        images = [jpeg(8 * (first + i) % 256) for i in range(count)]
        arrays[f"jpeg_{part}"] = np.frombuffer(b"".join(images), np.uint8)
        arrays[f"off_{part}"] = np.cumsum([0, *map(len, images)])
        arrays[f"y_{part}"] = (np.arange(count) % 10).astype(np.uint8)
    return arrays


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty folder that `RETRIEVAL_DATA` names, and a cache of this test's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("RETRIEVAL_DATA", str(folder))
    monkeypatch.setenv("RETRIEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RETRIEVAL_PROFILE", raising=False)
    return folder


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """No `RETRIEVAL_DATA`, and an empty cache."""
    monkeypatch.delenv("RETRIEVAL_DATA", raising=False)
    monkeypatch.delenv("RETRIEVAL_PROFILE", raising=False)
    monkeypatch.setenv("RETRIEVAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def network(monkeypatch):
    """Downloads are allowed; the servers are those that a test names."""
    monkeypatch.delenv("RETRIEVAL_OFFLINE")


@pytest.fixture
def faces():
    """60 people with 8 to 50 images each."""
    counts = torch.arange(60) * 42 // 59 + 8
    labels = torch.arange(60).repeat_interleave(counts)
    return image_set("lfw", "made up", torch.zeros(len(labels), 3, 1, 1, dtype=torch.uint8), labels, range(60))


@pytest.fixture
def serve():
    """Serve one answer over HTTP: `serve(body, announced)` returns the address; fewer bytes may come than announced."""
    servers = []

    def start(body: bytes, announced: int | None = None) -> str:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                if self.rfile.readline():
                    while self.rfile.readline().strip():
                        pass
                    length = len(body) if announced is None else announced
                    self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + body)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
