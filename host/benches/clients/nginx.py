"""nginx beside innkeeper: whether what honest clients notice is the server's doing, or the
machine's."""

import os
import pwd
import resource
import shutil
import socket
import subprocess
import time
from pathlib import Path

from servers import processes

START_SECONDS = 10

# As for innkeeper: two workers, no log, files from the page cache, no limit on what one
# connection may ask for. Patience is nginx's own: a minute for a head, a body, a read.
CONFIGURATION = """\
{user}
daemon off;
worker_processes {workers};
worker_rlimit_nofile {descriptors};
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 16384; }}
http {{
  {paths}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  reset_timedout_connection on;
  open_file_cache max=1000;
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096{options};
    root {site};
  }}
}}
"""


def find():
    """The program, or None. Debian keeps it where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Nginx:
    """nginx on a site, until it is stopped."""

    def __init__(self, site, folder, workers=2, options=""):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # Started by root, its workers would be a user that cannot read the site.
        user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
        kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        paths = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        configuration = Path(folder) / "nginx.conf"
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        configuration.write_text(CONFIGURATION.format(
            user=user, descriptors=descriptors, workers=workers, folder=folder, paths=paths,
            port=self.port, site=site, options=options))
        self.process = subprocess.Popen([find(), "-p", str(folder), "-c", str(configuration)])
        until = time.monotonic() + START_SECONDS
        while socket.socket().connect_ex(("127.0.0.1", self.port)):
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit("nginx does not start; what it said stands above")
            time.sleep(0.02)

    def cpu_seconds(self):
        return processes.cpu_seconds(self.process.pid)

    def stop(self):
        self.process.terminate()
        self.process.wait()
