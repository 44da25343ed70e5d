"""Tries what a node needs before it runs: its folder, the models, its certificates, its peers."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial

from iconet.errors import InputError
from iconet.files import write_errors
from iconet.node import dicom_peer, web_peer
from iconet.node.connection import server_context
from iconet.node.disk import GIGABYTE
from iconet.node.settings import Peer, Rule, Settings
from iconet.study.run_one import Upscaler


def check(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """Try everything; yields what was tried, and what is wrong with it (None: nothing)."""
    yield _tried(f"folder {settings.folder}", partial(_folder, settings))
    if settings.listen is not None and settings.listen.tls is not None:
        yield _tried("certificates of the DICOM port", partial(_certificates, settings))
    for rule in settings.rules:
        yield _tried(f"rule {rule.name}", partial(_models, settings, rule))
    for name, peer in settings.peers.items():
        how = "C-ECHO" if peer.url is None else "QIDO-RS"
        yield _tried(f"peer {name}, {how}", partial(_peer, settings, peer))


def _tried(what: str, attempt: Callable[[], None]) -> tuple[str, str | None]:
    try:
        attempt()
    except InputError as error:
        return what, " ".join(str(error).split())
    return what, None


def _folder(settings: Settings) -> None:
    folder = settings.folder
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    free = shutil.disk_usage(folder).free / GIGABYTE
    if free < settings.disk.least_free:
        raise InputError(
            f"{free:.1f} GB are free of the {settings.disk.least_free:g} of disk.least_free; free"
            " some space"
        )


def _certificates(settings: Settings) -> None:
    assert settings.listen is not None and settings.listen.tls is not None
    try:
        server_context(settings.listen.tls)
    except OSError as error:
        raise InputError(f"{error}; name certificate, key and ca in PEM") from None


def _models(settings: Settings, rule: Rule) -> None:
    Upscaler(settings.options(rule), reports=True).models  # noqa: B018 - loads them


def _peer(settings: Settings, peer: Peer) -> None:
    if peer.url is None:
        dicom_peer.echo(settings, peer)
    else:
        web_peer.reach(peer)
