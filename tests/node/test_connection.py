"""TLS with certificates on both sides, by files of openssl's."""

import shutil
import ssl
import subprocess

import pytest

from .parts import mr_series, node, send, until


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def authority(folder, name):
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    subject = ("-subj", f"/CN={name}")
    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        "-days",
        2,
        *subject,
        "-addext",
        "basicConstraints=critical,CA:TRUE",
    )
    return key, certificate


def certificate(folder, name, signer):
    key, request, made = (folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
    openssl(
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        request,
        "-subj",
        f"/CN={name}",
    )
    names = folder / f"{name}.ext"
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        "x509",
        "-req",
        "-in",
        request,
        "-CA",
        signer[1],
        "-CAkey",
        signer[0],
        "-CAcreateserial",
        "-out",
        made,
        "-days",
        2,
        "-extfile",
        names,
    )
    return key, made


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl: apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificates")
    ours, theirs = authority(folder, "ca"), authority(folder, "other")
    return {
        "ca": ours[1],
        "node": certificate(folder, "node", ours),
        "scanner": certificate(folder, "scanner", ours),
        "stranger": certificate(folder, "stranger", theirs),
    }


@pytest.fixture(scope="module")
def running(files, tmp_path_factory):
    key, made = files["node"]
    tls = {"certificate": str(made), "key": str(key), "ca": str(files["ca"])}
    folder = tmp_path_factory.mktemp("node")
    peer = {"ae_title": "ICONET", "host": "127.0.0.1", "port": 1, "tls": tls}
    with node(folder, listen={"tls": tls}, peers={"pacs": peer}, quiet=3600) as one:
        yield one


def client(files, who):
    context = ssl.create_default_context(cafile=files["ca"])
    if who is not None:
        context.load_cert_chain(files[who][1], files[who][0])
    return context, "127.0.0.1"


def test_a_known_certificate_is_let_in(files, running):
    images = mr_series()
    assert send(running.port, images, tls=client(files, "scanner")) == [0] * 4


@pytest.mark.parametrize(
    ("who", "why"),
    [(None, "CERTIFICATE"), ("stranger", "VERIFY_FAILED"), ("plain", "HTTP_REQUEST|VERSION|TLS|")],
)
def test_others_are_not(files, running, who, why):
    images = mr_series()
    tls = None if who == "plain" else client(files, who)
    before = len(running.events("rejected"))
    answer = send(running.port, images, tls=tls)
    assert answer is None
    (entry, *_) = until(lambda: running.events("rejected")[before:])
    assert any(part in entry["line"].upper() for part in why.split("|"))
    assert not running.events("received") or len(running.events("received")) == 4


def test_a_client_that_never_shakes_hands_keeps_nobody_out(files, running):
    import socket

    silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(10)]
    begun = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(10)]
    try:
        for connection in begun:
            connection.sendall(b"\x16\x03\x01")
        assert send(running.port, mr_series(2), tls=client(files, "scanner")) == [0, 0]
    finally:
        for connection in (*silent, *begun):
            connection.close()


def test_the_node_itself_calls_with_its_certificate(files, running):
    import yaml

    from iconet.errors import InputError
    from iconet.node import dicom_peer
    from iconet.node.settings import read_settings

    content = yaml.safe_load(running.config.read_text())
    content["peers"]["pacs"]["port"] = running.port
    content["ae_title"] = "SCANNER"
    config = running.folder / "other.yaml"
    config.write_text(yaml.safe_dump(content))
    settings = read_settings(config)
    dicom_peer.echo(settings, settings.peers["pacs"])
    plain = settings.peers["pacs"].model_copy(update={"tls": None})
    with pytest.raises(InputError, match=f"{running.port}: .*;"):
        dicom_peer.echo(settings, plain)
