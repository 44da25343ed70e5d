"""What a node's configuration says: one YAML file, checked as recipes are."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from iconet.errors import InputError
from iconet.recipe_files import Section, read_recipe
from iconet.upscaling.options import Options

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[!-\[\]-~][ -\[\]-~]*$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class Tls(Section):
    """Certificates of the node and of those it talks to, as PEM files.

    Attributes:
        certificate: Of the node.
        key: Of that certificate.
        ca: Who signs the certificates of the others; one that it did not sign is refused.
    """

    certificate: Path
    key: Path
    ca: Path


class Caller(Section):
    """Who may send.

    Attributes:
        ae_title: Calling AE title.
        addresses: From where, such as 10.0.3.7 or 10.0.3.0/24; empty: from anywhere.
    """

    ae_title: AeTitle
    addresses: tuple[str, ...] = ()

    @field_validator("addresses")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            try:
                ip_network(address)
            except ValueError:
                raise ValueError(f"{address}: give an address, or a network as 10.0.3.0/24") from (
                    None
                )
        return addresses

    def has(self, address: str) -> bool:
        """Whether it may call from an address."""
        host = ip_address(address.partition("%")[0])
        host = getattr(host, "ipv4_mapped", None) or host
        return not self.addresses or any(host in ip_network(one) for one in self.addresses)


class Listen(Section):
    """The DICOM port.

    Attributes:
        host: Address to listen on.
        port: 0 takes a free one.
        callers: Who may send; everyone else is refused.
        tls: Encrypt, and demand a client certificate; None: plain DICOM.
        associations: Most at the same time.
        max_pdu: Bytes.
        timeout: Seconds of silence after which an association is ended.
        largest: Megabytes of one object; an association that sends a larger one is ended.
    """

    host: str = "0.0.0.0"
    port: Port = 11112
    callers: tuple[Caller, ...] = Field(min_length=1)
    tls: Tls | None = None
    associations: int = Field(10, ge=1, le=500)
    max_pdu: int = Field(131072, ge=4096, le=2**24)
    timeout: Seconds = 60
    largest: int = Field(4096, ge=1)


class Peer(Section):
    """An archive that results go to, or that is asked for series: by DICOM or by DICOMweb.

    Attributes:
        ae_title: Of a DICOM peer, with `host` and `port`.
        host: Name or address.
        port: Of its storage service.
        tls: Certificates for it; None: plain DICOM.
        url: Root of a DICOMweb service, such as https://pacs/dicom-web.
        credentials: YAML file that only its owner can read: user and password, token, or
            token_url, client_id and client_secret (OAuth 2 client credentials).
        ca: PEM file of who signed the web server's certificate, if the system does not know it.
    """

    ae_title: AeTitle | None = None
    host: str | None = None
    port: Port | None = None
    tls: Tls | None = None
    url: str | None = Field(None, pattern=r"^https?://[^/:\s]+(:\d+)?(/\S*)?$")
    credentials: Path | None = None
    ca: Path | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        dicom = (self.ae_title, self.host, self.port)
        if self.url is None and None in dicom:
            raise ValueError("give ae_title, host and port, or the url of a DICOMweb service")
        if self.url is not None and (dicom != (None, None, None) or self.tls is not None):
            raise ValueError("give either ae_title, host, port and tls, or url; make two peers")
        if self.url is None and (self.credentials or self.ca):
            raise ValueError("credentials and ca are for a url; DICOM peers have tls")
        return self


class Poll(Section):
    """Ask a DICOMweb service for new series.

    Attributes:
        peer: Which one.
        every: Seconds.
        days: Studies of the last so many days.
        query: QIDO-RS matching keys, such as `Modality: MR`.
    """

    peer: str
    every: Seconds = 60
    days: int = Field(2, ge=1, le=3650)
    query: dict[str, str] = Field(default_factory=dict)


class Match(Section):
    """Which series a rule is for; what is not named fits all.

    Attributes:
        modality: Such as MR.
        description: Regular expression that is found in the series description, in any case.
        not_description: One that is not.
        body_part: Such as BRAIN.
        pixel_spacing_above: Millimetres.
        slice_thickness_above: Millimetres.
        images_at_least: How many.
    """

    modality: tuple[str, ...] = ()
    description: str | None = None
    not_description: str | None = None
    body_part: tuple[str, ...] = ()
    pixel_spacing_above: float | None = Field(None, ge=0)
    slice_thickness_above: float | None = Field(None, ge=0)
    images_at_least: int = Field(1, ge=1)

    @field_validator("description", "not_description")
    @classmethod
    def _expression(cls, text: str | None) -> str | None:
        try:
            re.compile(text or "")
        except re.error as error:
            raise ValueError(f"{text}: not a regular expression ({error})") from None
        return text


class Upscale(Section):
    """How to upscale; the options of `iconet upscale` of the same names."""

    model: str | None = None
    scale: int | None = None
    plane: str = "auto"
    axes: str = "auto"
    spacing: str | float | None = None
    isotropic: bool = False
    acquired: str = "auto"
    window: str = "auto"
    kind: str = "auto"
    tile: int | None = None
    best: bool = False

    @model_validator(mode="after")
    def _possible(self) -> Self:
        Options(**self.model_dump())  # InputError is a ValueError
        return self


class Rule(Section):
    """What becomes of a series; the first rule that fits counts.

    Attributes:
        name: For the log.
        match: Which series.
        upscale: How.
        send_to: Names of peers.
    """

    name: str
    match: Match = Match()
    upscale: Upscale = Upscale()
    send_to: tuple[str, ...] = Field(min_length=1)


class Compute(Section):
    """Where the network runs; the options of `iconet upscale` of the same names."""

    device: str = "auto"
    precision: str = "auto"
    backend: str = "auto"


class Disk(Section):
    """What the node may fill.

    Attributes:
        least_free: Gigabytes that must be free; below, associations are refused.
        keep: Hours that images and results stay after the result was sent, or the series refused.
    """

    least_free: float = Field(5, ge=0)
    keep: float = Field(24, ge=0)


class Retry(Section):
    """How long an archive that does not answer is tried.

    Attributes:
        first: Seconds to the second try; the wait doubles with each.
        longest: Seconds between tries at most.
        hours: After these the delivery has failed; `iconet node retry` takes it up again.
    """

    first: Seconds = 30
    longest: Seconds = 3600
    hours: float = Field(72, gt=0)


class Settings(Section):
    """A node.

    Attributes:
        folder: Where it keeps images, results, queue and audit.
        ae_title: Its own.
        listen: The DICOM port; None: only polls.
        peers: By name.
        polls: DICOMweb services that are asked for new series.
        rules: What to do with which series.
        quiet: Seconds without a new image after which a series is taken to be complete.
        trust_count: Take it at once when it has as many images as its headers say
            (Images in Acquisition, 0020,1002): only where a series is one acquisition.
        compute: Where the network runs.
        disk: What the node may fill.
        retry: How long an archive that does not answer is tried.
        plain_uids: Whether log and audit show UIDs as they are; otherwise hashes of them.
    """

    folder: Path
    ae_title: AeTitle = "ICONET"
    listen: Listen | None = None
    peers: dict[str, Peer] = Field(default_factory=dict)
    polls: tuple[Poll, ...] = ()
    rules: tuple[Rule, ...] = Field(min_length=1)
    quiet: Seconds = 30
    trust_count: bool = False
    compute: Compute = Compute()
    disk: Disk = Disk()
    retry: Retry = Retry()
    plain_uids: bool = False

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        known = ", ".join(self.peers) or "none"
        for rule in self.rules:
            for name in rule.send_to:
                if name not in self.peers:
                    raise ValueError(f"rule {rule.name}: no peer {name}; known: {known}")
        if len({rule.name for rule in self.rules}) < len(self.rules):
            raise ValueError("two rules have one name; rename one")
        for poll in self.polls:
            if poll.peer not in self.peers or self.peers[poll.peer].url is None:
                raise ValueError(f"polls: {poll.peer} is not a peer with a url; known: {known}")
        if self.listen is None and not self.polls:
            raise ValueError("nothing would come in; add listen or polls")
        return self

    def options(self, rule: Rule) -> Options:
        """How series of a rule are upscaled."""
        chosen: dict[str, Any] = rule.upscale.model_dump()
        return Options(**chosen, **self.compute.model_dump())


def read_settings(path: Path) -> Settings:
    """Read and check a node's configuration; relative paths in it start at its folder.

    Raises:
        InputError: It cannot be read, or says something that cannot be.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; docs/node.md has one to start from")
    settings = read_recipe(path, None, Settings)
    return _with_paths(settings, path.resolve().parent)


def _with_paths(part: Any, base: Path) -> Any:
    """The same with every path made absolute."""
    if isinstance(part, Path):
        return base / part
    if isinstance(part, Section):
        named = {name: _with_paths(getattr(part, name), base) for name in type(part).model_fields}
        return part.model_copy(update=named)
    if isinstance(part, tuple):
        return tuple(_with_paths(item, base) for item in part)
    if isinstance(part, dict):
        return {key: _with_paths(value, base) for key, value in part.items()}
    return part
