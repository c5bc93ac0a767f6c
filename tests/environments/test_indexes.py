"""What is asked of an index, and when: uv's word for PyTorch's build, and nothing at all where the cache has all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest

from enginehouse.host.environments.trees import remove_tree
from enginehouse.sdk import LaunchFailed, PackageIndexes


@pytest.fixture
def index(bench, serve_index):
    return serve_index(bench.shop.folder)


@pytest.fixture
def asked_of_proxy(monkeypatch) -> Iterator[list[str]]:
    """First lines of what a proxy for HTTPS is asked; it refuses all."""
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        threading.Thread(target=_refuse, args=(proxy, lines), daemon=True).start()
        yield lines


def _refuse(proxy: socket.socket, lines: list[str]) -> None:
    with suppress(OSError):  # it is closed
        while True:
            client, _ = proxy.accept()
            with client:
                lines.append(client.recv(4096).decode().splitlines()[0])
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


async def test_the_word_for_pytorch_s_build_reaches_uv(bench, index, asked_of_proxy, monkeypatch) -> None:
    bench.shop.stock("torch")
    plain = PackageIndexes(index_url=index.url)
    assert (await bench.provide(bench.need("torch", indexes=plain))).made and asked_of_proxy == []
    with pytest.raises(LaunchFailed, match="uv says"):
        await bench.provide(bench.need("torch", indexes=msgspec.structs.replace(plain, torch_backend="cpu")))
    assert asked_of_proxy[0].startswith("CONNECT ")  # PyTorch's own index, by HTTPS
    asked_of_proxy.clear()
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")  # of the server's, where the need has no word
    with pytest.raises(LaunchFailed, match="uv says"):
        await bench.provide(bench.need("torch", "beta", indexes=plain))
    assert asked_of_proxy[0].startswith("CONNECT ")


async def test_the_word_for_pytorch_s_build_asks_nobody_where_there_is_no_index(bench, asked_of_proxy) -> None:
    """As in what a bundle brings: uv alone would ask PyTorch's index all the same."""
    bench.shop.stock("torch")
    folder = msgspec.structs.replace(bench.need().indexes, torch_backend="cpu")
    assert (await bench.provide(bench.need("torch", indexes=folder))).made and asked_of_proxy == []


async def test_another_word_for_pytorch_s_build_is_resolved_anew(bench, index, asked_of_proxy) -> None:
    """Else who was given CUDA's would be given it again after setting the variable."""
    bench.shop.stock("torch")
    plain = PackageIndexes(index_url=index.url)
    await bench.provide(bench.need("torch", indexes=plain))
    with pytest.raises(LaunchFailed):
        await bench.provide(bench.need("torch", indexes=msgspec.structs.replace(plain, torch_backend="cpu")))
    assert asked_of_proxy


async def test_uv_s_older_word_for_an_index_counts(bench, index, monkeypatch) -> None:
    monkeypatch.setenv("UV_INDEX_URL", index.url)
    assert (await bench.provide(bench.need("alpha", indexes=PackageIndexes()))).made
    assert "/simple/alpha/" in index.asked


async def test_a_known_lock_is_built_from_the_cache_without_asking_anybody(bench, index) -> None:
    need = bench.need("alpha", indexes=PackageIndexes(index_url=index.url))
    kept = (await bench.provide(need)).kept
    remove_tree(bench.shelf.root)
    index.asked.clear()
    assert (await bench.provide(need, kept=kept)).made and index.asked == []
    remove_tree(bench.shelf.root)
    index.end()
    assert (await bench.provide(need, kept=kept)).made


async def test_a_known_lock_is_fetched_where_the_cache_lacks_something(bench, index, monkeypatch, tmp_path) -> None:
    need = bench.need("alpha", indexes=PackageIndexes(index_url=index.url))
    grant = await bench.provide(need)
    remove_tree(bench.shelf.root)
    index.asked.clear()
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    again = await bench.provide(need, kept=grant.kept)
    assert again.environment.digest == grant.environment.digest
    assert any(path.endswith(".whl") for path in index.asked)
