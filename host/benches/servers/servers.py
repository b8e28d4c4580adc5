"""The servers: how each is configured, started, checked and stopped."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import ask
import files
from cases import Case, Load

# As many as the machine has cores, on the machine that the harness was written for;
# bare.rs has the same number of threads.
WORKERS = 2

# Long enough that no connection of a run is closed for being idle.
IDLE_SECONDS = 600

START_SECONDS = 15
STOP_SECONDS = 3

# Ports are taken below the range that the kernel takes clients' ports from (32768 and
# up by default): a client would else now and then hold the port of a server to come.
FIRST_PORT = 20_000
LAST_PORT = 32_000


class Unavailable(Exception):
    """A server cannot be measured; the message says why and what to do."""


class Died(Exception):
    """A server ended, or does not answer."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    for port in range(FIRST_PORT, LAST_PORT):
        with socket.socket() as probe:
            # Connections of earlier runs that linger are in nobody's way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen(1)
            except OSError:
                continue
            return port
    raise Unavailable(f"no port between {FIRST_PORT} and {LAST_PORT} is free; free one")


@dataclass
class Setting:
    """What a server is started for."""

    case: Case
    site: Path
    # A folder for this start alone.
    folder: Path
    port: int
    descriptors: int

    @property
    def log(self) -> Path:
        return self.folder / "access.log"

    @property
    def connections(self) -> int:
        """Connections that one worker must be able to hold, all of them in the worst case."""
        return max(1024, self.case.held + 2 * self.case.connections)


class Server:
    """One kind of server. Subclasses say how it is found and configured."""

    name = ""
    install = ""
    logs = True

    def __init__(self, program: str | None = None):
        self.program = program

    def find(self) -> str:
        """The program's path."""
        # Debian keeps servers where only root looks.
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        found = shutil.which(self.program or self.name, path=path)
        if not found:
            raise Unavailable(f"{self.name} is not installed; {self.install}")
        return found

    def version(self) -> str:
        """One line, as the program says it."""
        result = subprocess.run(
            [self.find(), *self.version_arguments()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10,
        )
        return result.stdout.strip().splitlines()[0] if result.stdout.strip() else "unknown"

    def version_arguments(self) -> list[str]:
        return ["--version"]

    def serves(self, case: Case) -> bool:
        """Whether the case can be tried with this server."""
        return self.logs or not case.logged

    def command(self, setting: Setting) -> list[str]:
        """The command line, for which files may be written into the setting's folder."""
        raise NotImplementedError

    def environment(self, setting: Setting) -> dict[str, str]:
        """Variables beside those of the harness."""
        return {}

    def start(self, setting: Setting) -> "Running":
        setting.folder.mkdir()
        command = self.command(setting)
        # Standard output is the access log of the servers that write it there. It is
        # opened to append, as the servers open their logs: it is emptied between runs.
        with (
            (setting.folder / "errors").open("ab") as errors,
            setting.log.open("ab") as log,
        ):
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                env={**os.environ, **self.environment(setting)},
                cwd=setting.folder,
                # A group of its own: Ctrl-C is for the harness, which then stops the
                # server, and what the server started can be ended with it.
                start_new_session=True,
            )
        return Running(self, setting, process)


class Running:
    """A server that was started."""

    def __init__(self, server: Server, setting: Setting, process: subprocess.Popen):
        self.server = server
        self.setting = setting
        self.process = process

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def port(self) -> int:
        return self.setting.port

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until_ready(self) -> None:
        """Returns when it answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.check()
            try:
                ask.ask(self.port, files.HOT)
                return
            except (OSError, ask.BadAnswer) as error:
                if time.monotonic() > deadline:
                    raise Died(
                        f"{self.name} gave no answer within {START_SECONDS} s ({error})"
                        f"{self.last_words()}"
                    ) from error
            time.sleep(0.05)

    def check(self) -> None:
        """Raises Died if it has ended."""
        code = self.process.poll()
        if code is not None:
            raise Died(f"{self.name} ended with exit code {code}{self.last_words()}")

    def last_words(self) -> str:
        lines = (self.setting.folder / "errors").read_text(errors="replace").splitlines()
        return "; its last lines:\n    " + "\n    ".join(lines[-5:]) if lines else ""

    def stop(self) -> None:
        """Ends it and all that it started."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Innkeeper(Server):
    name = "innkeeper"
    install = "build it with `cargo build --release`, or say --innkeeper PATH"

    def command(self, setting: Setting) -> list[str]:
        return [
            self.find(),
            str(setting.site),
            "--listen",
            f"127.0.0.1:{setting.port}",
            "--workers",
            str(WORKERS),
            "--access-log",
            "combined" if setting.case.logged else "off",
        ]


class Nginx(Server):
    """nginx, which sends small files faster without sendfile and large ones with it."""

    name = "nginx"
    install = "for example `apt-get install nginx-light`"

    def version_arguments(self) -> list[str]:
        return ["-v"]

    def command(self, setting: Setting) -> list[str]:
        folder = setting.folder
        log = f"{setting.log} combined buffer=64k flush=1s" if setting.case.logged else "off"
        # Started by root, its workers would be a user that cannot read the site.
        user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
        bodies = "\n".join(
            f"  {kind}_temp_path {folder}/{kind};"
            for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        )
        configuration = folder / "nginx.conf"
        configuration.write_text(f"""\
{user}
daemon off;
worker_processes {WORKERS};
worker_rlimit_nofile {setting.descriptors};
pid {folder}/pid;
error_log stderr warn;
events {{
  use epoll;
  worker_connections {setting.connections};
}}
http {{
{bodies}
  types {{
    text/plain txt;
    text/html html;
  }}
  default_type application/octet-stream;
  access_log {log};
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_timeout {IDLE_SECONDS}s;
  keepalive_requests 1000000000;
  open_file_cache max=10000 inactive={IDLE_SECONDS}s;
  open_file_cache_valid 60s;
  open_file_cache_errors on;
  log_not_found off;
  server {{
    listen 127.0.0.1:{setting.port} reuseport backlog=4096;
    root {setting.site};
    index index.html;
    location /large/ {{
      sendfile on;
    }}
  }}
}}
""")
        return [self.find(), "-p", str(folder), "-c", str(configuration)]


class Lighttpd(Server):
    name = "lighttpd"
    install = "for example `apt-get install lighttpd`"

    def version_arguments(self) -> list[str]:
        return ["-v"]

    def command(self, setting: Setting) -> list[str]:
        configuration = setting.folder / "lighttpd.conf"
        log = ""
        if setting.case.logged:
            log = f"""\
server.modules += ( "mod_accesslog" )
accesslog.filename = "{setting.log}"
"""
        configuration.write_text(f"""\
server.bind = "127.0.0.1"
server.port = {setting.port}
server.document-root = "{setting.site}"
server.errorlog = "{setting.folder}/errors"
server.max-worker = {WORKERS}
server.max-fds = {setting.descriptors}
server.max-connections = {setting.connections}
server.listen-backlog = 4096
server.event-handler = "linux-sysepoll"
server.network-backend = "sendfile"
server.stat-cache-engine = "inotify"
server.max-keep-alive-requests = 1000000000
server.max-keep-alive-idle = {IDLE_SECONDS}
server.max-write-idle = {IDLE_SECONDS}
index-file.names = ( "index.html" )
mimetype.assign = (
  ".txt" => "text/plain",
  ".html" => "text/html",
  "" => "application/octet-stream"
)
{log}""")
        return [self.find(), "-D", "-f", str(configuration)]


class StaticWebServer(Server):
    name = "static-web-server"
    install = "see https://static-web-server.net/download-and-install/"

    def command(self, setting: Setting) -> list[str]:
        return [
            self.find(),
            "--host=127.0.0.1",
            f"--port={setting.port}",
            f"--root={setting.site}",
            # Times the number of cores.
            "--threads-multiplier=1",
            # Requests are logged at the level of information.
            f"--log-level={'info' if setting.case.logged else 'error'}",
            "--compression=false",
            "--cache-control-headers=false",
            "--security-headers=false",
        ]


class Caddy(Server):
    name = "caddy"
    install = "for example `apt-get install caddy`"

    def version_arguments(self) -> list[str]:
        return ["version"]

    def environment(self, setting: Setting) -> dict[str, str]:
        folder = str(setting.folder)
        return {
            "GOMAXPROCS": str(WORKERS),
            "HOME": folder,
            "XDG_DATA_HOME": folder,
            "XDG_CONFIG_HOME": folder,
        }

    def command(self, setting: Setting) -> list[str]:
        log = ""
        if setting.case.logged:
            log = f"""\
  log {{
    output file {setting.log} {{
      roll_disabled
    }}
    level INFO
  }}
"""
        configuration = setting.folder / "Caddyfile"
        configuration.write_text(f"""\
{{
  admin off
  auto_https off
  log {{
    level ERROR
  }}
  servers {{
    protocols h1
    timeouts {{
      idle {IDLE_SECONDS}s
    }}
  }}
}}
http://:{setting.port} {{
  bind 127.0.0.1
  root * {setting.site}
  file_server
{log}}}
""")
        return [self.find(), "run", "--adapter", "caddyfile", "--config", str(configuration)]


class WasmtimeServe(Server):
    """`wasmtime serve` with a component that holds the file of 1 KiB inside."""

    name = "wasmtime"
    install = "see https://wasmtime.dev, or say --wasmtime PATH"
    logs = False

    def __init__(self, program: str | None, component: Path):
        super().__init__(program)
        self.component = component

    def serves(self, case: Case) -> bool:
        # It knows one file, and neither validators nor redirects.
        return (
            super().serves(case)
            and case.path == files.HOT
            and case.statuses == (200,)
            and case.load is not Load.BESIDE_SLOW
        )

    def command(self, setting: Setting) -> list[str]:
        return [
            self.find(),
            "serve",
            "--addr",
            f"127.0.0.1:{setting.port}",
            # Memory for instances is reserved once.
            "--optimize",
            "pooling-allocator=y",
            # An instance serves one request after another, as innkeeper's guests do.
            "--max-instance-reuse-count",
            "1000000",
            "--max-concurrent-connections",
            str(setting.connections),
            str(self.component),
        ]

    def environment(self, setting: Setting) -> dict[str, str]:
        return {"TOKIO_WORKER_THREADS": str(WORKERS), "HOME": str(setting.folder)}


class Bare(Server):
    """The program of bare.rs, with an answer such as nginx gives in this case."""

    name = "bare"
    install = "it is compiled with `rustc`: install Rust, or say --servers without it"
    logs = False

    def version(self) -> str:
        return "bare.rs"

    def serves(self, case: Case) -> bool:
        return case.canned

    def command(self, setting: Setting) -> list[str]:
        answer = setting.folder / "answer"
        answer.write_bytes(canned(setting.case, setting.site))
        return [self.find(), str(setting.port), str(answer)]


def canned(case: Case, site: Path) -> bytes:
    """An answer of usual size. Its reason phrase is fixed: no client looks at it."""
    status = case.statuses[0]
    fields = {"Server": "bare", "Date": "Sun, 01 Jan 2023 00:00:00 GMT"}
    body = b""
    if status in (200, 304):
        fields |= {
            "Last-Modified": "Sun, 01 Jan 2023 00:00:00 GMT",
            "ETag": '"63b0cd00-400"',
        }
    if status == 200:
        body = files.content(site, case.path)
        fields |= {"Content-Type": "text/plain", "Accept-Ranges": "bytes"}
    elif status == 301:
        body = b"Moved Permanently\n"
        fields |= {"Content-Type": "text/plain", "Location": case.path + "/"}
    elif status == 404:
        body = b"File not found\n"
        fields |= {"Content-Type": "text/plain"}
    if status != 304:
        fields["Content-Length"] = str(len(body))
    # An answer says it too when the connection ends with it.
    fields |= case.fields
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Bare\r\n{head}\r\n".encode() + body
