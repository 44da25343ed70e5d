"""Files that were made to do harm, each written by a function: name -> (folder -> what to read)."""

import copy
import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from . import valid

GOOD = "valid"  # folder with the files of `valid.write_all`
Attack = Callable[[Path], Path]


def good(folder: Path, name: str) -> bytes:
    return (folder / GOOD / name).read_bytes()


def cut(name: str, share: float) -> Attack:
    """A valid file cut off after a share of its length."""

    def make(folder: Path) -> Path:
        whole = good(folder, name)
        return written(folder / f"cut-{name}", whole[: int(len(whole) * share)])

    return make


def with_text(name: str, old: str, new: str) -> Attack:
    """A valid file with other bytes in one place."""

    def make(folder: Path) -> Path:
        whole = good(folder, name)
        assert old.encode() in whole
        return written(folder / f"text-{name}", whole.replace(old.encode(), new.encode(), 1))

    return make


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# NIfTI


def nifti_with(packed: bool = False, voxels: bytes = bytes(64), **fields: object) -> Attack:
    """A NIfTI file whose header has these fields, with little behind it."""

    def make(folder: Path) -> Path:
        header = nibabel.Nifti1Header()
        header.set_data_dtype(np.int16)
        header.set_data_shape((4, 4, 2))
        header.set_sform(np.eye(4), code=1)
        header["magic"], header["vox_offset"] = b"n+1", 352
        header["descrip"] = valid.PATIENT.encode()
        for name, value in fields.items():
            header[name] = value
        content = header.binaryblock + bytes(4) + voxels
        if packed:
            return written(folder / "a.nii.gz", gzip.compress(content))
        return written(folder / "a.nii", content)

    return make


def zeros_by_gzip(count: int) -> bytes:
    """A gzip stream of zeros that needs no memory to make."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(count >> 20)) + packer.flush()


def gzip_bomb(folder: Path) -> Path:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((1000, 1000, 128))
    header.set_sform(np.eye(4), code=1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    first = gzip.compress(header.binaryblock + bytes(4))
    return written(folder / "bomb.nii.gz", first + zeros_by_gzip(1 << 28))


def extension_bomb(folder: Path) -> Path:
    header = nibabel.Nifti1Header()
    header.set_data_shape((4, 4, 2))
    header["magic"], header["vox_offset"] = b"n+1", 400
    extension = b"\1\0\0\0" + struct.pack("<2i", 0x7FFFFFF0, 6)
    return written(folder / "extension.nii", header.binaryblock + extension + bytes(200))


def nifti_behind_bomb(folder: Path) -> Path:
    """A true header, its voxels, and 256 MB that nobody asked for."""
    whole = gzip.compress(good(folder, "a.nii"))
    return written(folder / "tail.nii.gz", whole + zeros_by_gzip(1 << 28))


# NRRD and MetaImage


def endless_header(name: str, start: bytes) -> Attack:
    return lambda folder: written(folder / name, start + b"# x\n" * (5 << 20))


def nrrd_bomb(folder: Path) -> Path:
    text = good(folder, "b.nrrd").split(b"\n\n")[0]
    text = text.replace(b"sizes: 36 33 3", b"sizes: 1000 1000 128")
    return written(folder / "bomb.nrrd", text + b"\n\n" + zeros_by_gzip(1 << 28))


def metaimage_bomb(folder: Path) -> Path:
    text = good(folder, "a.mha").split(b"LOCAL\n")[0] + b"LOCAL\n"
    text = text.replace(b"DimSize = 36 33 3", b"DimSize = 1000 1000 128")
    text = text.replace(b"CompressedData = False", b"CompressedData = True")
    packer = zlib.compressobj(9)
    zeros = b"".join(packer.compress(bytes(1 << 20)) for _ in range(250)) + packer.flush()
    return written(folder / "bomb.mha", text + zeros)


def naming(name: str, target: str) -> Attack:
    """A detached header that names another file for its voxels."""
    return with_text(name, "c.raw", target)


def own_header(folder: Path) -> Path:
    whole = good(folder, "b.mhd").replace(b"c.raw", b"self.mhd")
    return written(folder / "self.mhd", whole)


def pipe_for_voxels(folder: Path) -> Path:
    """Opening a pipe waits for ever."""
    os.mkfifo(folder / "pipe.raw")
    return written(folder / "pipe.mhd", good(folder, "b.mhd").replace(b"c.raw", b"pipe.raw"))


def pipe_itself(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.nii")
    return folder / "pipe.nii"


# Arrays and pictures


def npy_header(text: str) -> Attack:
    def make(folder: Path) -> Path:
        line = text.encode().ljust(117) + b"\n"
        content = b"\x93NUMPY\1\0" + struct.pack("<H", len(line)) + line + bytes(256)
        return written(folder / "a.npy", content)

    return make


def pickled(folder: Path) -> Path:
    np.save(folder / "a.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return folder / "a.npy"


def picture_bomb(name: str, side: int, **options: object) -> Attack:
    def make(folder: Path) -> Path:
        Image.new("L", (side, side)).save(folder / name, **options)
        return folder / name

    return make


def tiff_samples(count: int) -> Attack:
    def make(folder: Path) -> Path:
        Image.new("RGB", (8, 8)).save(folder / "a.tif")
        content = (folder / "a.tif").read_bytes()
        before, after = (struct.pack("<HHII", 277, 3, 1, number) for number in (3, count))
        assert before in content
        return written(folder / "a.tif", content.replace(before, after))

    return make


def png_claiming(width: int, height: int) -> Attack:
    def make(folder: Path) -> Path:
        head = struct.pack(">2I5B", width, height, 16, 0, 0, 0, 0)
        chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
        content = b"\x89PNG\r\n\x1a\n"
        for kind, data in chunks:
            check = struct.pack(">I", zlib.crc32(kind + data))
            content += struct.pack(">I", len(data)) + kind + data + check
        return written(folder / "a.png", content)

    return make


def png_text_bomb(folder: Path) -> Path:
    packer = zlib.compressobj(9)
    zeros = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    data = b"PatientName\0\0" + zeros
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + data))
    whole = good(folder, "a.png")
    return written(folder / "text.png", whole[:33] + chunk + whole[33:])


def tiff_in_a_circle(folder: Path) -> Path:
    """The next page is this page."""
    whole = bytearray(good(folder, "a.tif"))
    first = struct.unpack_from("<I", whole, 4)[0]
    entries = struct.unpack_from("<H", whole, first)[0]
    struct.pack_into("<I", whole, first + 2 + 12 * entries, first)
    return written(folder / "circle.tif", bytes(whole))


# DICOM


def dicom_with(**elements: object) -> Attack:
    """A series whose second slice has these elements; None deletes one."""

    def make(folder: Path) -> Path:
        images = valid.slices()
        for keyword, value in elements.items():
            if value is None:
                del images[1][keyword]
            else:
                setattr(images[1], keyword, value)
        return valid.save_series(folder / "dicom", images)

    return make


def dicom_bytes(old: bytes, new: bytes) -> Attack:
    """A slice with other bytes in one place."""

    def make(folder: Path) -> Path:
        whole = good(folder, "explicit.dcm")
        assert old in whole
        return written(folder / "a.dcm", whole.replace(old, new, 1))

    return make


def everywhere_private(folder: Path) -> Path:
    """More private elements than any scanner writes, in a private sequence too."""
    whole = good(folder, "explicit.dcm")
    at = whole.index(struct.pack("<2H", 0x7FE0, 0x10) + b"OW")
    element = struct.pack("<2H", 0x0029, 0x0010) + b"LO" + struct.pack("<H", 4) + b"ABCD"
    return written(folder / "a.dcm", whole[:at] + element * 300_000 + whole[at:])


def private_and_not_ascii(folder: Path) -> Path:
    image = valid.slices()[0]
    image.PatientName = f"{valid.PATIENT}=山田^太郎=やまだ"
    image.SeriesDescription = "Schädel äöü \N{BELL}"
    block = image.private_block(0x0029, "ÄCME", create=True)
    block.add_new(1, "UN", b"\xff" * 999)
    block.add_new(2, "SQ", [Dataset()])
    return valid.save(image, folder / "a.dcm")


def begins_like_a_program(folder: Path) -> Path:
    """The preamble may be anything."""
    return written(folder / "a.dcm", b"MZ" + good(folder, "explicit.dcm")[2:])


def deep_sequences(folder: Path) -> Path:
    whole = good(folder, "explicit.dcm")
    at = whole.index(struct.pack("<2H", 0x7FE0, 0x10) + b"OW")
    inner = struct.pack("<2H", 0x0008, 0x1140) + b"SQ\0\0\xff\xff\xff\xff"
    inner += struct.pack("<2H", 0xFFFE, 0xE000) + b"\xff\xff\xff\xff"
    return written(folder / "a.dcm", whole[:at] + inner * 100_000 + whole[at:])


def deflated(content: Callable[[bytes], bytes]) -> Attack:
    """A deflated data set whose inflated bytes are made from those of a true one."""

    def make(folder: Path) -> Path:
        whole = good(folder, "deflated.dcm")
        meta = 132 + 12 + struct.unpack_from("<I", whole, 140)[0]
        inside = zlib.decompress(whole[meta:], -zlib.MAX_WBITS)
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = packer.compress(content(inside)) + packer.flush()
        return written(folder / "a.dcm", whole[:meta] + packed)

    return make


def frame_bomb(syntax: str, side: int = 8192, frames: int = 1) -> Attack:
    """Compressed frames of nothing, each far larger than its bytes."""

    def make(folder: Path) -> Path:
        image = valid.enhanced() if frames > 1 else valid.slices()[0]
        if syntax == JPEG2000Lossless:
            image.Rows, image.Columns = 64, 64
            image.PixelData = bytes(64 * 64 * 2)
            if frames > 1:
                image.NumberOfFrames = 1
            image.compress(syntax, generate_instance_uid=False)
            frame = bytearray(image.PixelData[16:])
            at = frame.index(b"\xff\x4f\xff\x51")
            struct.pack_into(">2I", frame, at + 8, side, side)
            frame = frame[at : frame.rindex(b"\xff\xd9") + 2]
        else:
            frame = bytearray(struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\0" * 4)
            image.file_meta.TransferSyntaxUID = syntax
        image.Rows = image.Columns = side
        if frames > 1:
            image.NumberOfFrames = frames
            groups = []
            for k in range(frames):
                place, group = Dataset(), Dataset()
                place.ImagePositionPatient = [0, 0, 3 * k]
                group.PlanePositionSequence = Sequence([place])
                groups.append(group)
            image.PerFrameFunctionalGroupsSequence = Sequence(groups)
        image.PixelData = encapsulate([bytes(frame)] * frames)
        image["PixelData"].VR = "OB"
        return valid.save(image, folder / "a.dcm")

    return make


def jpeg_frame(folder: Path) -> Path:
    """JPEG Lossless cut off inside its scan, with an end marker."""
    from pydicom import dcmread
    from pydicom.encaps import get_frame

    image = dcmread(folder / GOOD / "jpeg.dcm")
    frame = get_frame(image.PixelData, 0, number_of_frames=1)
    image.PixelData = encapsulate([frame[: len(frame) // 2] + b"\xff\xd9"])
    image["PixelData"].VR = "OB"
    return valid.save(image, folder / "a.dcm")


def zip_with(name: str, content: bytes | None = None, **fields: object) -> Attack:
    def make(folder: Path) -> Path:
        member = zipfile.ZipInfo(name)
        for field, value in fields.items():
            setattr(member, field, value)
        with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            inside = good(folder, "explicit.dcm") if content is None else content
            archive.writestr(member, inside, zipfile.ZIP_DEFLATED)
        return folder / "a.zip"

    return make


def zip_bomb(folder: Path) -> Path:
    start = good(folder, "explicit.dcm")
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for number in range(20):
            with archive.open(f"{number}.dcm", "w") as member:
                member.write(start)
                for _ in range(10):
                    member.write(bytes(1 << 20))
    return folder / "a.zip"


def zip_that_lies(folder: Path) -> Path:
    """Its directory says that a bomb is small."""
    bomb = zip_with("a.dcm", good(folder, "explicit.dcm") + bytes(1 << 28))
    content = bytearray(bomb(folder).read_bytes())
    central = content.index(b"PK\1\2")
    struct.pack_into("<I", content, central + 24, 5000)
    return written(folder / "lies.zip", bytes(content))


def zip_in_itself(folder: Path) -> Path:
    """Zips in zips are not opened."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.dcm", good(folder, "explicit.dcm"))
    return zip_with("inner.zip", inner.getvalue())(folder)


def zip_of_many(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "many.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("0"), b"")
        for number in range(1, 101_000):  # entries of the directory only: it is read first
            member = copy.copy(archive.filelist[0])
            member.filename = f"{number}"
            archive.filelist.append(member)
    return folder / "many.zip"


def dicomdir(*references: object, following: dict[int, int] | None = None) -> Attack:
    def make(folder: Path) -> Path:
        medium = valid.save_series(folder / "disc")
        valid.save(valid.slices()[0], folder / "outside")
        (medium / "link").symlink_to(folder / "outside")
        return valid.directory(medium / "DICOMDIR", list(references), following=following)

    return make


def dicomdir_that_names_itself(folder: Path) -> Path:
    return dicomdir("DICOMDIR")(folder)


def folder_in_a_circle(folder: Path) -> Path:
    (folder / "round").mkdir()
    (folder / "round" / "again").symlink_to(folder / "round")
    return folder / "round"


NPY = "{{'descr':'{}','fortran_order':False,'shape':{}}}"
EMPTY_ELEMENT = b"\x29\0\x10\0LO\0\0"
ROWS = struct.pack("<2H", 0x28, 0x10)

ATTACKS: dict[str, Attack] = {
    **{
        f"{name} cut off at {share:.0%}": cut(name, share)
        for name in [
            *("a.nii", "b.nii", "c.nii.gz", "a.nrrd", "b.nrrd", "a.mha", "a.npy", "a.png", "a.tif"),
            *("b.tiff", "explicit.dcm", "deflated.dcm", "j2k.dcm", "jls.dcm", "rle.dcm"),
            *("jpeg.dcm", "enhanced.dcm", "zipped.zip"),
        ]
        for share in (0.05, 0.5, 0.95)
    },
    "NIfTI that claims 64 GB": nifti_with(dim=[3, 32000, 32000, 32, 1, 1, 1, 1]),
    "NIfTI, compressed, that claims 64 GB": nifti_with(True, dim=[3, 32000, 32000, 32, 1, 1, 1, 1]),
    "NIfTI with negative sizes": nifti_with(dim=[3, -4, -4, 2, 1, 1, 1, 1]),
    "NIfTI of 30000 axes": nifti_with(dim=[30000, 4, 4, 2, 1, 1, 1, 1]),
    "NIfTI of an unknown type": nifti_with(datatype=9999),
    "NIfTI of text": nifti_with(datatype=128, bitpix=24),
    "NIfTI whose voxels begin far away": nifti_with(vox_offset=3e38),
    "NIfTI whose voxels begin at NaN": nifti_with(vox_offset=np.nan),
    "NIfTI of infinite slope": nifti_with(voxels=b"\1" * 64, scl_slope=1e38, scl_inter=3e38),
    "NIfTI with voxels of NaN mm": nifti_with(pixdim=[1, np.nan, 1, 1, 1, 1, 1, 1]),
    "NIfTI nowhere": nifti_with(srow_x=[np.inf, 0, 0, 0]),
    "NIfTI extension that claims 2 GB": extension_bomb,
    "gzip bomb": gzip_bomb,
    "gzip bomb behind a scan": nifti_behind_bomb,
    "NIfTI that is a pipe": pipe_itself,
    "NRRD header without an end": endless_header("a.nrrd", b"NRRD0004\n"),
    "NRRD of absurd sizes": with_text("a.nrrd", "36 33 3", "99999999999 99999999 99"),
    "NRRD of no sizes": with_text("a.nrrd", "36 33 3", "-36 33 3"),
    "NRRD that skips backwards": with_text("a.nrrd", "kinds", "byte skip: -999\nkinds"),
    "NRRD bomb": nrrd_bomb,
    "NRRD that is not ASCII": with_text("a.nrrd", "sizes", "sïzes\N{BELL}"),
    "NRRD that names /etc/passwd": naming("c.nhdr", "/etc/passwd"),
    "NRRD that climbs": naming("c.nhdr", "../valid/c.raw"),
    "NRRD with a format string": naming("c.nhdr", "%s%n%d.raw 1 9 1"),
    "MetaImage header without an end": endless_header("a.mha", b"ObjectType = Image\n"),
    "MetaImage of absurd sizes": with_text("a.mha", "DimSize = 36", "DimSize = 9" + "9" * 4000),
    "MetaImage bomb": metaimage_bomb,
    "MetaImage that names /etc/passwd": naming("b.mhd", "/etc/passwd"),
    "MetaImage that climbs": naming("b.mhd", "..\\valid\\c.raw"),
    "MetaImage that names itself": own_header,
    "MetaImage whose voxels are a pipe": pipe_for_voxels,
    "npy that claims 1 TB": npy_header(NPY.format("<f8", "(500000,500000)")),
    "npy of a negative shape": npy_header(NPY.format("<f8", "(-4,-4)")),
    "npy with a program": npy_header("__import__('os').system('touch pwned')"),
    "npy of deep brackets": npy_header("(" * 110),
    "npy of pickled objects": pickled,
    "npy of text": npy_header(NPY.format("<U4", "(4,4)")),
    "PNG that claims 64 gigapixels": png_claiming(2**18, 2**18),
    "PNG that claims 80 megapixels": png_claiming(9000, 9000),
    "PNG bomb": picture_bomb("a.png", 9400),
    "PNG text bomb": png_text_bomb,
    "TIFF of 2376 samples a pixel": tiff_samples(2376),
    "TIFF bomb": picture_bomb("a.tif", 9400, compression="tiff_adobe_deflate"),
    "DICOM of 65535 x 65535": dicom_with(Rows=65535, Columns=65535),
    "DICOM of 0 rows": dicom_with(Rows=0),
    "DICOM of 2**31 frames": dicom_with(NumberOfFrames=2**31 - 1),
    "DICOM of negative frames": dicom_with(NumberOfFrames=-3),
    "DICOM without pixels": dicom_with(PixelData=None),
    "DICOM of 33 bits": dicom_with(BitsAllocated=33, BitsStored=33, HighBit=32),
    "DICOM at NaN": dicom_bytes(b"1.0\\2.0\\0.0", b"nan\\nan\\nan"),
    "DICOM whose Rows are text": dicom_bytes(ROWS + b"US\2\0", ROWS + b"PN\2\0"),
    "DICOM whose Rows are a sequence": dicom_bytes(ROWS + b"US\2\0", ROWS + b"SQ\2\0"),
    "DICOM of an unknown VR": dicom_bytes(ROWS + b"US", ROWS + b"\xff\xfe"),
    "DICOM element that claims 4 GB": dicom_bytes(ROWS + b"US", ROWS + b"OB\0\0\xf0\xff\xff\xff"),
    "DICOM name that swallows what follows": dicom_bytes(b"PN\x10\0", b"PN\xff\xff"),
    "DICOM of an odd character set": dicom_bytes(b"ISO_IR 192", b"\xff\xfe\\..%s%n"),
    "DICOM orientation that is not ASCII": dicom_bytes(b"1.0\\0.0\\0", "ü0\\0.0\\0".encode()),
    "DICOM of an unknown syntax": dicom_bytes(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"),
    "DICOM with 300000 private elements": everywhere_private,
    "DICOM of 100000 nested sequences": deep_sequences,
    "DICOM deflated bomb": deflated(lambda inside: inside + bytes(1 << 27)),
    "DICOM deflated headers": deflated(lambda inside: EMPTY_ELEMENT * 2_000_000),
    "DICOM JPEG 2000 bomb": frame_bomb(JPEG2000Lossless),
    "DICOM run-length bomb": frame_bomb(RLELossless),
    "DICOM of 100 JPEG 2000 bombs": frame_bomb(JPEG2000Lossless, 2048, 100),
    "DICOM of 100 run-length bombs": frame_bomb(RLELossless, 2048, 100),
    "DICOM run-length data as JPEG Lossless": frame_bomb(JPEGLosslessSV1, 64),
    "DICOM JPEG Lossless cut off": jpeg_frame,
    "DICOM of another patient's UID": dicom_with(SeriesInstanceUID="1.2.4"),
    "zip bomb": zip_bomb,
    "zip bomb that lies": zip_that_lies,
    "zip in a zip": zip_in_itself,
    "zip of 101000 members": zip_of_many,
    "zip that climbs": zip_with("../../a.dcm"),
    "zip from the root": zip_with("/etc/a.dcm"),
    "zip from a drive": zip_with("C:\\a.dcm"),
    "zip of a link": zip_with("a.dcm", b"/etc/passwd", external_attr=0o120777 << 16),
    "DICOMDIR that climbs": dicomdir(["..", "outside"]),
    "DICOMDIR from the root": dicomdir("/etc/passwd"),
    "DICOMDIR through a link": dicomdir("link"),
    "DICOMDIR in a circle": dicomdir("0.dcm", "1.dcm", following={0: 400}),
    "DICOMDIR that names itself": dicomdir_that_names_itself,
    "DICOMDIR that names nothing": dicomdir("nine.dcm"),
    "folder in a circle": folder_in_a_circle,
}  # fmt: skip
"""What to read, by what is wrong with it."""

HARMLESS: dict[str, Attack] = {
    "TIFF in a circle": tiff_in_a_circle,
    "DICOM that is not ASCII, with private elements": private_and_not_ascii,
    "DICOM that begins like a program": begins_like_a_program,
}
"""What is to be read all the same."""
