"""Pebble, the certificate authority of Let's Encrypt for tests, with the name server beside it."""

import base64
import json
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

# How long it may take to start.
PATIENCE = 20

# Nonces that it refuses, in percent, as authorities do now and then.
REFUSED_NONCES = 10

DAY = 86_400


def free_ports(count):
    """Ports that nobody has at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def run(*command, given=None):
    return subprocess.run(command, check=True, capture_output=True, input=given).stdout


def encoded(data):
    """Base64 for URLs, without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def own_certificate(folder):
    """A certificate for itself, and the authority that has signed it: `ca.pem`."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *key, "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
        "-days", "3650", "-subj", "/CN=who signs for pebble")
    run("openssl", "req", *key, "-keyout", folder / "pebble.key", "-out", folder / "pebble.csr",
        "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    run("openssl", "x509", "-req", "-in", folder / "pebble.csr", "-CA", folder / "ca.pem",
        "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "3650",
        "-extfile", folder / "names", "-out", folder / "pebble.pem")


class Pebble:
    """It asks for http-01 at `http` and for tls-alpn-01 at `tls`; all names lead to 127.0.0.1."""

    def __init__(self, folder):
        own, management, self.http, self.tls, dns, dns_management = free_ports(6)
        own_certificate(folder)
        config = {
            "listenAddress": f"127.0.0.1:{own}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(folder / "pebble.pem"), "privateKey": str(folder / "pebble.key"),
            "httpPort": self.http, "tlsPort": self.tls, "ocspResponderURL": "",
            "profiles": {"default": {"description": "three months", "validityPeriod": 90 * DAY}},
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        names = ["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
                 "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
                 "-dnsserver", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{dns_management}"]
        pebble = ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"]
        environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": str(REFUSED_NONCES)}
        self.log = open(folder / "pebble.log", "w")
        self.processes = [
            subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment,
                             executable=run("sh", "-c", f"command -v {command[0]}").decode().strip())
            for command in (names, pebble)
        ]
        self.ca_file = folder / "ca.pem"
        self.directory = f"https://localhost:{own}/dir"
        self.management = f"https://localhost:{management}"
        self.trust = ssl.create_default_context(cafile=str(self.ca_file))
        began = time.monotonic()
        while True:
            try:
                self.urls = json.loads(self.ask(self.directory))
                break
            except OSError:
                if time.monotonic() > began + PATIENCE:
                    raise
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        self.log.close()

    def ask(self, url, body=None, kind="application/json"):
        request = urllib.request.Request(url, body, {"Content-Type": kind})
        with urllib.request.urlopen(request, context=self.trust, timeout=PATIENCE) as response:
            return response.read()

    def has_windows(self):
        """Whether it suggests when to renew (ARI): since 2.5."""
        return "renewalInfo" in self.urls

    def root(self):
        """The PEM of the root that its certificates lead to: another one with each start."""
        return self.ask(self.management + "/roots/0").decode()

    def suggest(self, certificate, start, end):
        """Sets the window in which this certificate (PEM) is to be renewed, in seconds from now."""
        date = lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + at))
        window = {"suggestedWindow": {"start": date(start), "end": date(end)}}
        told = {"certificate": certificate, "ariResponse": json.dumps(window)}
        self.ask(self.management + "/set-renewal-info/", json.dumps(told).encode())

    def revoke(self, certificate, key_file):
        """Revokes a certificate (PEM) by its own key, of P-256 (RFC 8555, section 7.6)."""
        der = ssl.PEM_cert_to_DER_cert(certificate)
        payload = encoded(json.dumps({"certificate": encoded(der)}).encode())
        point = run("openssl", "pkey", "-in", key_file, "-pubout", "-outform", "DER")[-64:]
        public = {"kty": "EC", "crv": "P-256", "x": encoded(point[:32]), "y": encoded(point[32:])}
        # Some of its nonces it does not take.
        for attempt in range(20):
            protected = encoded(json.dumps({
                "alg": "ES256", "jwk": public, "nonce": self.nonce(), "url": self.urls["revokeCert"],
            }).encode())
            signed = {"protected": protected, "payload": payload,
                      "signature": encoded(signature(f"{protected}.{payload}".encode(), key_file))}
            try:
                self.ask(self.urls["revokeCert"], json.dumps(signed).encode(), "application/jose+json")
                return
            except urllib.error.HTTPError as error:
                told = error.read()
                if b"badNonce" not in told or attempt == 19:
                    raise RuntimeError(f"it is not revoked: {told.decode()}") from error

    def nonce(self):
        with urllib.request.urlopen(self.urls["newNonce"], context=self.trust) as response:
            return response.headers["Replay-Nonce"]


def signature(data, key_file):
    """A signature by P-256, as JOSE has it: two numbers of 32 bytes (RFC 7518, section 3.4)."""
    der = run("openssl", "dgst", "-sha256", "-sign", key_file, given=data)
    numbers, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2 : at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers
