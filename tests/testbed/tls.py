"""Certificates for one test: a CA of its own, and a server's certificate that it signed."""

import subprocess
from pathlib import Path

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-config", "/dev/null"]


def make_authority(folder: Path) -> None:
    """Makes ca.pem and ca.key, if there are none."""
    if not (folder / "ca.pem").exists():
        openssl(
            *KEY, "-subj", "/CN=test bed of bulla", "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
            "-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip


def make_certificate(folder: Path, name: str, hosts: str) -> tuple[Path, Path]:
    """Makes NAME.pem and NAME.key for HOSTS, written as in a subjectAltName.

    The CA's certificate follows in NAME.pem, so that a browser can be told to trust its key.
    """
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    openssl(
        *KEY, "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-subj", "/CN=localhost",
        "-keyout", key, "-out", certificate, "-addext", "basicConstraints=critical,CA:false",
        "-addext", f"subjectAltName={hosts}", "-addext", "extendedKeyUsage=serverAuth",
    )  # fmt: skip
    with certificate.open("a") as file:
        file.write((folder / "ca.pem").read_text())
    return certificate, key


LOOPBACK = "DNS:localhost,IP:127.0.0.1"


def openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", "req", "-x509", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"openssl failed: {done.stderr}")
