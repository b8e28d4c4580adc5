"""What TLS needs in a comparison: one certificate, and one choice of ciphers for all."""

import ssl
import subprocess
from pathlib import Path

# ECDSA on P-256: what certificate authorities give, and the cheapest that all servers have.
CERTIFICATE_DAYS = 30

# What every client offers, so that no server gets another cipher or group than the next.
CIPHERS = "TLS_AES_256_GCM_SHA384"
GROUPS = "X25519"

OPENSSL_CONFIGURATION = f"""\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
MinProtocol = TLSv1.3
MaxProtocol = TLSv1.3
Ciphersuites = {CIPHERS}
Groups = {GROUPS}
"""

# How the groups are named to tls-client.
X25519 = "X25519"
X25519MLKEM768 = "X25519MLKEM768"


def prepare(folder: Path) -> None:
    """Makes a certificate for localhost, and the configuration of clients on OpenSSL."""
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "ec"]
        + ["-pkeyopt", "ec_paramgen_curve:P-256", "-days", str(CERTIFICATE_DAYS)]
        + ["-keyout", str(key(folder)), "-out", str(certificate(folder))]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    client_configuration(folder).write_text(OPENSSL_CONFIGURATION)


def certificate(folder: Path) -> Path:
    return folder / "certificate.pem"


def key(folder: Path) -> Path:
    return folder / "key.pem"


def client_configuration(folder: Path) -> Path:
    """What OPENSSL_CONF of a client names."""
    return folder / "openssl.cnf"


def client_context(protocol: str) -> ssl.SSLContext:
    """Of a client that believes any certificate, and speaks one protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([protocol])
    return context
