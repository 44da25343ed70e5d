"""The XML header of ISMRMRD: what is asked of it, and what is said where it is silent."""

from xml.etree import ElementTree

import pytest

from iconet.images.kspace.mrd_header import Space, parse_header

SPACE = (
    "<matrixSize><x>{0}</x><y>{1}</y><z>{2}</z></matrixSize>"
    "<fieldOfView_mm><x>{3}</x><y>{4}</y><z>{5}</z></fieldOfView_mm>"
)
ENCODED = f"<encodedSpace>{SPACE.format(64, 44, 1, 512, 300.5, 5)}</encodedSpace>"
RECON = f"<reconSpace>{SPACE.format(32, 40, 1, 256, 273, 4)}</reconSpace>"
LIMITS = """<encodingLimits>
<kspace_encoding_step_1><minimum>0</minimum><maximum>43</maximum><center>22</center>
</kspace_encoding_step_1></encodingLimits>"""
REST = """<trajectory> cartesian
</trajectory><parallelImaging><calibrationMode>embedded </calibrationMode></parallelImaging>"""


def header(*parts: str, encodings: int = 1) -> str:
    encoding = f"<encoding>{''.join(parts)}</encoding>"
    return (
        '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        f"<studyInformation/>{encoding * encodings}</ismrmrdHeader>"
    )


def test_every_value_is_found() -> None:
    found = parse_header(header(ENCODED, RECON, LIMITS, REST))
    assert found.encoded == Space((64, 44, 1), (512.0, 300.5, 5.0))
    assert found.recon == Space((32, 40, 1), (256.0, 273.0, 4.0))
    assert found.trajectory == "cartesian" and found.calibration == "embedded"
    assert found.centre == (22, None)


def test_bytes_are_read_in_the_encoding_that_they_name() -> None:
    text = header(ENCODED, RECON).replace('"1.0"?', '"1.0" encoding="latin-1"?')
    text = text.replace("<studyInformation/>", "<studyInformation>\xfc</studyInformation>")
    assert parse_header(text.encode("latin-1")) == parse_header(header(ENCODED, RECON))


def test_what_the_header_is_silent_on_is_empty() -> None:
    found = parse_header(header(ENCODED, RECON))
    assert (found.trajectory, found.calibration, found.centre) == ("", "", (None, None))


def test_one_of_several_encodings_is_chosen() -> None:
    two = header(ENCODED, RECON).replace("</ismrmrdHeader>", "") + (
        f"<encoding>{ENCODED.replace('64', '96')}{RECON}</encoding></ismrmrdHeader>"
    )
    assert [parse_header(two, index).encoded.matrix[0] for index in (0, 1)] == [64, 96]
    with pytest.raises(ValueError, match="no encoding 2"):
        parse_header(two, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (header(encodings=0), "no encodedSpace/matrixSize/x"),
        (header(ENCODED), "no reconSpace/matrixSize/x"),
        (header(ENCODED.replace("<y>300.5</y>", ""), RECON), "no encodedSpace/fieldOfView_mm/y"),
        (header(ENCODED, RECON.replace(">32<", ">0<")), "reconSpace/matrixSize/x is 0"),
        (header(ENCODED, RECON.replace(">32<", ">-3<")), "reconSpace/matrixSize/x is -3"),
        (header(ENCODED, RECON.replace(">32<", ">nan<")), "reconSpace/matrixSize/x is nan"),
        (header(ENCODED, RECON.replace(">32<", ">1e9<")), "reconSpace/matrixSize/x is 1e9"),
        (header(ENCODED, RECON.replace(">32<", ">0.5<")), "reconSpace/matrixSize is 0 x 40 x 1"),
        (header(ENCODED, RECON.replace(">32<", ">many<")), "many"),
        (header(ENCODED, RECON, LIMITS.replace(">22<", ">x<")), "invalid literal"),
    ],
)
def test_what_is_missing_or_impossible_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_header(text)


def test_other_texts_are_no_header() -> None:
    with pytest.raises(ElementTree.ParseError):
        parse_header("siemens")
    with pytest.raises(TypeError):
        parse_header(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no encodedSpace"):  # of another name space
        parse_header("<ismrmrdHeader><encoding/></ismrmrdHeader>")
