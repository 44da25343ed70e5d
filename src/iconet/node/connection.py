"""Connections to the DICOM port: from known addresses, not too many, encrypted where that is asked.

pynetdicom shakes hands inside its loop that accepts connections: one client that is silent there
would keep all others out. Here every connection does it in a thread of its own.
"""

import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from iconet.node.audit import Audit
from iconet.node.settings import Listen, Tls

HANDSHAKE = 10.0  # seconds until a connection must have said something, and been encrypted
MOST_SILENT = 100  # connections that have not

LARGEST_PDU = 1 << 20  # bytes, where the agreed maximum is no more: requests have no agreed one


class Handler(RequestHandler):
    """Makes an association of a connection.

    One that announces more than a PDU has ended: pynetdicom would take 4 GB of it into memory. One
    whose image finds no room on the disk has ended too: pynetdicom would leave its client waiting.
    """

    server: "Server"

    def _create_association(self) -> Association:
        association = super()._create_association()
        largest = max(LARGEST_PDU, association.ae.maximum_pdu_size)
        connection = association.dul.socket
        read = connection.recv
        connection.recv = lambda count: read(count) if count <= largest else bytearray()
        association.dimse.receive_primitive = self._kept(association)
        return association

    def _kept(self, association: Association) -> Callable[[Any], None]:
        """Receives parts of messages; ends the association where the disk does not take them."""
        receive, aborting = association.dimse.receive_primitive, list[threading.Thread]()

        def kept(primitive: Any) -> None:
            try:
                receive(primitive)
            except OSError as error:
                if not aborting:
                    why = f"an image was cut off: {error.strerror}"
                    self.server.audit("refused", why, source=str(self.client_address[0]))
                    # From outside: this thread is the one that would send the abort.
                    aborting.append(threading.Thread(target=association.abort, daemon=True))
                    aborting[0].start()

        return kept


class Server(ThreadedAssociationServer):
    """A server of associations that lets in whom a configuration allows.

    `listen` and `audit` are set once, before the server starts.
    """

    listen: Listen
    audit: Audit
    context: ssl.SSLContext | None = None
    _counting = threading.Lock()
    daemon_threads = True
    request_queue_size = 64
    silent = 0

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; it is encrypted later, in its thread."""
        assert self.socket is not None
        accepted, address = self.socket.accept()
        return accepted, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection is let in."""
        address = str(client_address[0])
        if not any(caller.has(address) for caller in self.listen.callers):
            self.audit("rejected", "its address is not among the callers", source=address)
            return False
        with self._counting:
            if self.silent >= MOST_SILENT:
                self.audit("rejected", "too many silent connections", source=address)
                return False
            self.silent += 1
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, and hand over to an association."""
        try:
            speaking = self._speaking(request, str(client_address[0]))
        finally:
            with self._counting:
                self.silent -= 1
        if speaking is None:
            self.shutdown_request(request)
        else:
            speaking.settimeout(self.listen.timeout)
            super().finish_request(speaking, client_address)

    def _speaking(self, request: Any, address: str) -> socket.socket | None:
        """The connection once it has said something, encrypted where it must be; None if it fails.

        One that is closed again without a word is a monitor that looks whether the port is open.
        """
        request.settimeout(HANDSHAKE)
        try:
            if not request.recv(1, socket.MSG_PEEK):
                return None
            if self.context is None:
                return request
            return self.context.wrap_socket(request, server_side=True)
        except OSError as error:
            why = getattr(error, "reason", None) or "it is silent"
            self.audit("rejected", f"connection: {why}", source=address)
            return None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note what failed; nothing that a client sends ends the server."""
        self.audit("rejected", "its connection failed", source=str(client_address[0]))


def server_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or later for those who call; they must have a certificate that the CA signed.

    Raises:
        OSError: A file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _filled(context, tls)


def client_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or later to a peer, whose certificate must be for its name and signed by the CA.

    Raises:
        OSError: A file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _filled(context, tls)


def _filled(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tls.ca)
    context.load_cert_chain(tls.certificate, tls.key)
    return context
