"""Proxies in front of a real gateway, with the files of deploy/proxies: what they must pass on is what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import trustme

from gateway.app import Gateway
from tests.deploy.deployed import DEPLOY, program
from tests.signed import dumps, signed_headers
from tests.world import World

FENCED = '[sources.fenced]\nprovider = "hmac"\nverify = "none"\nallow = ["203.0.113.9"]\n'
Make = Callable[[Path, int, int, Path], list[str | Path]]
FOLDERS = ["client_body_temp_path", "proxy_temp_path", "fastcgi_temp_path", "uwsgi_temp_path", "scgi_temp_path"]


def _nginx(folder: Path, port: int, upstream: int, certificate: Path) -> list[str | Path]:
    """Write a configuration around the file as it stands, with other addresses and a certificate of this test."""
    text = (DEPLOY / "proxies/nginx.conf").read_text()
    text = re.sub(r"listen 443 ssl", f"listen 127.0.0.1:{port} ssl", text).replace(
        "127.0.0.1:8080", f"127.0.0.1:{upstream}"
    )
    text = re.sub(r"(ssl_certificate(?:_key)?) [^;]+", rf"\1 {certificate}", text)
    places = "".join(f"{name} {folder / name};" for name in FOLDERS)
    user = "" if os.geteuid() else "user root; "  # its workers may write into the folder of the test then
    head = f"{user}daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; events {{}}"
    (folder / "nginx.conf").write_text(f"{head}\nhttp {{ access_log off; {places}\n{text}}}\n")
    found = program("nginx", where="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    return [found, "-e", folder / "error.log", "-p", folder, "-c", folder / "nginx.conf"]


def _caddy(folder: Path, port: int, upstream: int, certificate: Path) -> list[str | Path]:
    text = (DEPLOY / "proxies/Caddyfile").read_text()
    text = text.replace("hooks.example.com {", f"https://127.0.0.1:{port} {{\n\ttls {certificate} {certificate}")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{text}")
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"]


@asynccontextmanager
async def _running(command: list[str | Path], port: int) -> AsyncIterator[None]:
    proxy = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while True:
                assert proxy.returncode is None, "the proxy did not start"
                with contextlib.suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                await asyncio.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            proxy.terminate()
        await proxy.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.mark.parametrize("make", [_nginx, _caddy], ids=["nginx", "caddy"])
async def test_bodies_arrive_as_they_were_signed(idle_world: World, tmp_path: Path, make: Make) -> None:
    """A plain, a compressed and a large signed body are accepted through the proxy, and a forged address is not."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    port, upstream = _free_port(), _free_port()
    command = make(tmp_path, port, upstream, tmp_path / "pem")
    config = idle_world.write_config(FENCED)
    address = f'[server]\nport = {upstream}\ntrusted_proxies = ["127.0.0.1"]'
    config.write_text(config.read_text().replace("[server]\nport = 0", address))
    idle_world.gateway = Gateway(idle_world.read_config())
    await idle_world.gateway.start()
    async with _running(command, port), aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:

        async def post(source: str, body: bytes, *more: tuple[str, str], query: str = "") -> int:
            signed = signed_headers("github", body, at=int(time.time() * 1000))
            url = f"https://127.0.0.1:{port}/webhooks/{source}{query}"
            async with session.post(url, data=body, headers=[*signed, *more], ssl=trusted) as response:
                return response.status

        assert await post("github", dumps({"zen": "Responsive is better than fast.\u2028"}), query="?a=%2f&b=+") == 200
        compressed = gzip.compress(dumps({"zen": "It's not fully shipped until it's fast."}))
        assert await post("github", compressed, ("Content-Encoding", "gzip")) == 200
        assert await post("github", dumps({"filler": "x" * 1_000_000})) == 200
        assert await post("fenced", b"{}", ("X-Forwarded-For", "203.0.113.9")) == 404
        async with session.get(f"https://127.0.0.1:{port}/readyz", ssl=trusted) as response:
            assert response.status == 404
    [kept] = await idle_world.settled(1)
    assert kept.duplicates == 2
