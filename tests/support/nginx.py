"""Debian's nginx with the project's configuration in front of one server."""

from __future__ import annotations

import shutil
import subprocess
from getpass import getuser
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Self

import httpx

from tests.support.local_server import ROOT
from tests.support.ports import free_port

TEMPLATE = ROOT / "infra" / "nginx" / "millrace.conf.template"
START_WITHIN_S = 10.0
PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"

# Its workers write long bodies into the test's folder, which is nobody else's.
AROUND = """
user {user};
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


class Nginx:
    """An nginx process, which answers as soon as it is started. `log` has its access log."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        values = {"MILLRACE_UPSTREAM": upstream, "MILLRACE_LISTEN": f"127.0.0.1:{self.port}"}
        # As the image does it: only the names that are set, nginx has variables of its own.
        server = Template(TEMPLATE.read_text()).safe_substitute(values)
        (folder / "nginx.conf").write_text(
            AROUND.format(user=getuser(), folder=folder, server=server)
        )

    def __enter__(self) -> Self:
        self._log = (self._folder / "access").open("wb")
        self._errors = (self._folder / "errors").open("wb")
        self._process = subprocess.Popen(
            [PROGRAM, "-p", str(self._folder), "-c", "nginx.conf"],
            stdout=self._log,
            stderr=self._errors,
        )
        transport = httpx.HTTPTransport(retries=20)
        with httpx.Client(transport=transport, timeout=START_WITHIN_S) as client:
            client.get(self.url)
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()
        self._errors.close()

    @property
    def log(self) -> str:
        return (self._folder / "access").read_text()
