"""The servers, and how each is configured."""

import os
import pwd
from pathlib import Path

import files
import tls
from cases import Case, Load
from server import IDLE_SECONDS, WORKERS, Server, Setting


class Innkeeper(Server):
    name = "innkeeper"
    install = "build it with `cargo build --release`, or say --innkeeper PATH"
    tls = True

    def command(self, setting: Setting) -> list[str]:
        address = f"127.0.0.1:{setting.port}"
        listen = ["--listen", address]
        if setting.case.tls:
            listen = ["--listen-tls", address]
            listen += ["--tls-certificate", str(setting.certificate)]
            listen += ["--tls-key", str(setting.key)]
        log = "combined" if setting.case.logged else "off"
        guest = ["--guest", str(setting.guest)] if setting.case.guest else []
        return [
            self.find(),
            str(setting.site),
            *listen,
            "--workers",
            str(WORKERS),
            "--access-log",
            log,
            *guest,
        ]


class InnkeeperX25519(Innkeeper):
    """innkeeper for clients without the post-quantum group, beside itself."""

    name = "innkeeper-x25519"

    def serves(self, case: Case) -> bool:
        return super().serves(case) and self.name in case.servers

    def group(self, case: Case) -> str:
        return tls.X25519


class Nginx(Server):
    """nginx, which sends small files faster without sendfile and large ones with it."""

    name = "nginx"
    install = "for example `apt-get install nginx-light`"
    tls = True
    # More of the line `listen`.
    listen = ""

    def version_arguments(self) -> list[str]:
        return ["-v"]

    def command(self, setting: Setting) -> list[str]:
        folder = setting.folder
        log = f"{setting.log} combined buffer=64k flush=1s" if setting.case.logged else "off"
        # Started by root, its workers would be a user that cannot read the site.
        user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
        over_tls = certificate = ""
        if setting.case.tls:
            over_tls = "ssl http2"
            certificate = f"""\
    ssl_certificate {setting.certificate};
    ssl_certificate_key {setting.key};
    ssl_protocols TLSv1.3;
    output_buffers 2 512k;
    http2_chunk_size 16k;"""
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
    listen 127.0.0.1:{setting.port} {over_tls} reuseport backlog=4096 {self.listen};
{certificate}
    root {setting.site};
    index index.html;
    location /large/ {{
      sendfile on;
    }}
  }}
}}
""")
        return [self.find(), "-p", str(folder), "-c", str(configuration)]


class NginxDeferred(Nginx):
    """nginx that is given a connection when its first bytes are there."""

    name = "nginx-deferred"
    listen = "deferred"

    def __init__(self):
        super().__init__("nginx")

    def serves(self, case: Case) -> bool:
        connecting = case.name == "connections" or self.name in case.servers
        return super().serves(case) and connecting


class H2o(Server):
    """h2o, with keys in its own process: its helper for them takes CPU time."""

    name = "h2o"
    install = "for example `apt-get install h2o`"
    tls = True
    logs = False

    def serves(self, case: Case) -> bool:
        # HTTP/1 in the clear has enough others here.
        return super().serves(case) and case.tls

    def command(self, setting: Setting) -> list[str]:
        user = pwd.getpwuid(os.geteuid()).pw_name
        configuration = setting.folder / "h2o.conf"
        configuration.write_text(f"""\
user: {user}
num-threads: {WORKERS}
max-connections: {2 * setting.connections}
http1-request-timeout: {IDLE_SECONDS}
http2-idle-timeout: {IDLE_SECONDS}
error-log: {setting.folder}/errors
listen:
  host: 127.0.0.1
  port: {setting.port}
  ssl:
    certificate-file: {setting.certificate}
    key-file: {setting.key}
    neverbleed: OFF
ssl-session-resumption:
  mode: ticket
hosts:
  default:
    paths:
      /:
        file.dir: {setting.site}
""")
        return [self.find(), "--conf", str(configuration)]


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
        return case.canned and super().serves(case)

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


def all_servers(innkeeper: str, wasmtime: str | None, component: Path, bare: Path) -> list[Server]:
    """Every server that there is, in the order of the tables."""
    return [
        Innkeeper(innkeeper),
        InnkeeperX25519(innkeeper),
        Nginx(),
        NginxDeferred(),
        H2o(),
        Lighttpd(),
        StaticWebServer(),
        Caddy(),
        WasmtimeServe(wasmtime, component),
        Bare(str(bare)),
    ]


NAMES = [server.name for server in all_servers("", None, Path(), Path())]
