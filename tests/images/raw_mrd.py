"""Small ISMRMRD files, record by record in the format's published layout."""

from pathlib import Path

import h5py
import numpy as np

COUNTERS = np.dtype(
    [
        *((name, "<u2") for name in ("kspace_encode_step_1", "kspace_encode_step_2", "average")),
        *((name, "<u2") for name in ("slice", "contrast", "phase", "repetition", "set")),
        ("segment", "<u2"),
        ("user", "<u2", (8,)),
    ]
)
HEAD = np.dtype(
    [
        *(("version", "<u2"), ("flags", "<u8"), ("measurement_uid", "<u4")),
        *(("scan_counter", "<u4"), ("acquisition_time_stamp", "<u4")),
        *(("physiology_time_stamp", "<u4", (3,)), ("number_of_samples", "<u2")),
        *(("available_channels", "<u2"), ("active_channels", "<u2")),
        *(("channel_mask", "<u8", (16,)), ("discard_pre", "<u2"), ("discard_post", "<u2")),
        *(("center_sample", "<u2"), ("encoding_space_ref", "<u2")),
        *(("trajectory_dimensions", "<u2"), ("sample_time_us", "<f4"), ("position", "<f4", (3,))),
        *(("read_dir", "<f4", (3,)), ("phase_dir", "<f4", (3,)), ("slice_dir", "<f4", (3,))),
        *(("patient_table_position", "<f4", (3,)), ("idx", COUNTERS)),
        *(("user_int", "<i4", (8,)), ("user_float", "<f4", (8,))),
    ]
)
RECORD = np.dtype(
    [("head", HEAD), ("traj", h5py.vlen_dtype(np.float32)), ("data", h5py.vlen_dtype(np.float32))]
)
XML = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
  <experimentalConditions><H1resonanceFrequency_Hz>128000000</H1resonanceFrequency_Hz>
  </experimentalConditions>
  <encoding>
    <encodedSpace><matrixSize><x>{H}</x><y>{W}</y><z>{D}</z></matrixSize>
      <fieldOfView_mm><x>{fH}</x><y>{fW}</y><z>{fD}</z></fieldOfView_mm></encodedSpace>
    <reconSpace><matrixSize><x>{h}</x><y>{w}</y><z>{d}</z></matrixSize>
      <fieldOfView_mm><x>{fh}</x><y>{fw}</y><z>{fd}</z></fieldOfView_mm></reconSpace>
    <encodingLimits>
      <kspace_encoding_step_1><minimum>0</minimum><maximum>{last}</maximum>
        <center>{centre}</center></kspace_encoding_step_1>
    </encodingLimits>
    <trajectory>{trajectory}</trajectory>
    <parallelImaging><accelerationFactor><kspace_encoding_step_1>1</kspace_encoding_step_1>
      <kspace_encoding_step_2>1</kspace_encoding_step_2></accelerationFactor>
      <calibrationMode>{calibration}</calibrationMode></parallelImaging>
  </encoding>
</ismrmrdHeader>"""


def mrd(
    path: Path,
    kspace: np.ndarray,
    *,
    lines: np.ndarray | None = None,
    first_line: int = 0,
    samples: slice = slice(None),
    shown: tuple[int, int] | None = None,
    pixel: tuple[float, float] = (1.5, 1.25),
    positions: np.ndarray | None = None,
    directions: np.ndarray | None = None,
    order: tuple[int, ...] | None = None,
    thickness: float = 4.0,
    trajectory: str = "cartesian",
    calibration: str = "embedded",
    noise: bool = True,
    three: bool = False,
    change=lambda heads: None,
) -> None:
    """Write k-space (S, C, H, W), or (C, H, W, D) if ``three``.

    Args:
        lines: (W,) bool, which are stored.
        first_line: index in the matrix of the line whose counter is 0: lines before are not stored
            and the header's centre is moved.
        samples: part of the readout that is stored; the centre moves with it.
        order: counter of each slice.
        noise: whether a noise scan comes first.
        three: whether it is a 3-D scan.
        change: alters the headers before they are written.
    """
    if three:
        coils, height, width, depth = kspace.shape
        count = 1
    else:
        count, coils, height, width = kspace.shape
        depth = 1
    lines = np.ones(width, bool) if lines is None else lines
    records = []
    start, stop, _ = samples.indices(height)
    for s in range(count):
        for partition in range(depth):
            for line in np.flatnonzero(lines):
                if line < first_line:
                    continue
                head = np.zeros((), HEAD)
                head["version"], head["number_of_samples"] = 1, stop - start
                head["available_channels"] = head["active_channels"] = coils
                head["center_sample"] = height // 2 - start
                head["idx"]["kspace_encode_step_1"] = line - first_line
                head["idx"]["kspace_encode_step_2"] = partition
                head["idx"]["slice"] = s if order is None else order[s]
                if positions is not None:
                    head["position"] = positions[s]
                if directions is not None:
                    head["read_dir"], head["phase_dir"], head["slice_dir"] = directions
                block = kspace[..., partition] if three else kspace[s]
                records.append((head, block[:, samples, line]))
    if noise:
        head = records[0][0].copy()
        head["flags"] = 1 << 18
        records.insert(0, (head, np.full_like(records[0][1], 1e6)))
    heads = np.array([head for head, _ in records])
    change(heads)
    table = np.empty(len(records), RECORD)
    for row, (_, values) in enumerate(records):
        flat = np.ascontiguousarray(values, np.complex64).view(np.float32).ravel()
        table[row] = (heads[row], np.zeros(0, np.float32), flat)
    h, w = shown or (height, width)
    sizes = {"H": height, "W": width, "D": depth, "h": h, "w": w, "d": depth}
    fields = {"fH": height * pixel[0], "fW": width * pixel[1], "fD": thickness * depth}
    fields |= {"fh": h * pixel[0], "fw": w * pixel[1], "fd": thickness * depth}
    xml = XML.format(
        **sizes,
        **fields,
        last=width - 1 - first_line,
        centre=width // 2 - first_line,
        trajectory=trajectory,
        calibration=calibration,
    )
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", (1,), h5py.string_dtype())[0] = xml
        group.create_dataset("data", data=table, maxshape=(None,), chunks=(max(len(table), 1),))
