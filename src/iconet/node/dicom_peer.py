"""A peer that speaks DICOM: associations with it, and results sent to it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from iconet.errors import InputError
from iconet.node.connection import client_context
from iconet.node.settings import Peer, Settings

if TYPE_CHECKING:
    from pynetdicom.association import Association

TIMEOUT = 60.0
CONNECTING = 15.0
WARNINGS = range(0xB000, 0xC000)


@contextmanager
def associated(
    settings: Settings, peer: Peer, kinds: Sequence[str], roles: Sequence[Any] = ()
) -> "Iterator[Association]":
    """An association with a peer.

    Args:
        settings: Of the node.
        peer: With a host.
        kinds: SOP classes.
        roles: As pynetdicom has them.

    Raises:
        InputError: The peer does not answer, or takes none of the SOP classes.
    """
    assert peer.host is not None and peer.port is not None and peer.ae_title is not None
    where = f"{peer.ae_title} at {peer.host}:{peer.port}"
    entity = AE(ae_title=settings.ae_title)
    entity.connection_timeout = CONNECTING
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT
    for kind in kinds:
        entity.add_requested_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    try:
        tls = (client_context(peer.tls), peer.host) if peer.tls else None
    except OSError as error:
        raise InputError(f"{where}: tls: {error}; name certificate, key and ca in PEM") from None
    association = entity.associate(
        *(peer.host, peer.port),
        ae_title=peer.ae_title,
        tls_args=tls,
        ext_neg=list(roles) or None,
    )
    try:
        if not association.is_established:
            why = "rejects the association" if association.is_rejected else "does not answer"
            raise InputError(f"{where}: {why}; see that it runs and knows {settings.ae_title}")
        if not association.accepted_contexts:
            raise InputError(f"{where}: takes no images of this kind; see its storage classes")
        yield association
    finally:
        close(association)


def close(association: "Association") -> None:
    """End an association, however it stands; pynetdicom leaves the sockets of some open."""
    if association.is_established:
        association.release()
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        connection.close()


def echo(settings: Settings, peer: Peer) -> None:
    """Verify that a peer answers.

    Raises:
        InputError: It does not.
    """
    with associated(settings, peer, [Verification]) as association:
        if association.send_c_echo().get("Status") != 0:
            raise InputError(f"{peer.ae_title} at {peer.host}:{peer.port}: C-ECHO failed")


def send(
    settings: Settings, peer: Peer, files: Sequence[Path], sent: Callable[[str], None]
) -> None:
    """Send images by C-STORE.

    Args:
        settings: Of the node.
        peer: With a host.
        files: Of one series.
        sent: Told the UID of each image that the peer has taken, at once.

    Raises:
        InputError: The peer does not answer, or did not take an image.
    """
    first = dcmread(files[0], specific_tags=["SOPClassUID"], stop_before_pixels=True)
    with associated(settings, peer, [first.SOPClassUID]) as association:
        for path in files:
            image = dcmread(path)
            if not association.is_established:
                raise InputError(f"{peer.ae_title} at {peer.host}:{peer.port}: ended the transfer")
            status = association.send_c_store(image).get("Status")
            if status != 0 and status not in WARNINGS:
                how = "nothing" if status is None else f"status 0x{status:04X}"
                raise InputError(
                    f"{peer.ae_title} at {peer.host}:{peer.port}: answered {how} to an image"
                )
            sent(str(image.SOPInstanceUID))
