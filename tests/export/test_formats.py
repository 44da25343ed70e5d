import importlib.util
import json
import os
import sys
import warnings

import numpy as np
import pytest
import torch

import iconet
from iconet import cli
from iconet.errors import InputError
from iconet.export import export_model
from iconet.export.formats import FORMATS
from iconet.runtime import runtimes

SHAPES = [(1, 16, 16), (3, 33, 57), (2, 64, 48), (1, 17, 100), (1, 24, 31)]
NETWORK_FORMATS = [name for name in FORMATS if name != "monai-bundle"]


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    """Gives the file of a format, written once for all tests of a network."""
    made = {}

    def file(format):
        if format not in made:
            folder = tmp_path_factory.mktemp(format)
            made[format] = export_model(network, folder / f"net{FORMATS[format]}", format)
        return made[format]

    return file


@pytest.fixture
def untraced(format):
    """torch.export runs through so much Python that measuring coverage would double its time.

    By hand: pytest-cov's marker for it has no effect in the processes of pytest-xdist.
    """
    tracer = sys.gettrace()
    if format == "torch-export":
        sys.settrace(None)
    yield
    sys.settrace(tracer)


@pytest.mark.parametrize("format", FORMATS)
def test_a_name_that_is_not_utf8_is_written_or_refused(network, untraced, tmp_path, format):
    output = tmp_path / os.fsdecode(b"d\xe9") / os.fsdecode(b"m\xe9" + FORMATS[format].encode())
    output.parent.mkdir()
    if format in ("onnx", "openvino") and importlib.util.find_spec(format) is None:
        pytest.skip(f"{format} is not installed")
    try:
        assert export_model(network, output, format) == output
        assert output.exists()
    except InputError as error:
        assert "not UTF-8; choose another" in str(error)
        assert not any(output.parent.iterdir())


def inputs(batch, height, width):
    rng = torch.Generator().manual_seed(height * width)
    image = 300 * torch.rand(batch, 1, height, width, generator=rng)
    return image, image.amax((1, 2, 3), keepdim=True)


def opened(path, format):
    """The exported network as its own runtime opens it, without iconet."""
    if format == "onnx":
        session = pytest.importorskip("onnxruntime").InferenceSession(path)
        return lambda image, intensity: torch.from_numpy(
            session.run(None, {"image": image.numpy(), "intensity": intensity.numpy()})[0]
        )
    if format == "openvino":
        core = runtimes.openvino_core()
        compiled = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda image, intensity: torch.from_numpy(
            compiled({"image": image.numpy(), "intensity": intensity.numpy()})["enlarged"].copy()
        )
    if format == "torchscript":
        return torch.jit.load(path)
    return torch.export.load(path).module()


def needed(format):
    """Skip where a runtime is absent; asked without importing it, which OpenVINO would report."""
    missing = {"onnx": "onnxruntime", "openvino": "openvino"}.get(format, "torch")
    if not runtimes.installed(missing):
        pytest.skip(f"{missing} is not installed")


@pytest.mark.filterwarnings("ignore")  # of torch.jit.load's age
@pytest.mark.parametrize("format", NETWORK_FORMATS)
@pytest.mark.usefixtures("untraced")
def test_exported_networks_agree_with_eager_whatever_the_shape(network, exported, format):
    needed(format)
    if (format, network.scale) == ("torch-export", 4) and not os.environ.get("HYPOTHESIS_PROFILE"):
        pytest.skip("takes most of a minute: in CI, or with HYPOTHESIS_PROFILE=ci")
    run = opened(exported(format), format)
    for shape in SHAPES:
        image, intensity = inputs(*shape)
        with torch.inference_mode():
            expected, found = network(image, intensity).image, run(image, intensity)
            other = run(image, 2 * intensity)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 1e-4 * 300, shape
        assert (other - expected).abs().max() > 1e-2 * 300  # the intensity is not forgotten


@pytest.mark.filterwarnings("ignore")
def test_a_trained_network_says_what_it_is(tmp_path):
    path = tmp_path / "x2.ts"
    assert cli.run(["export", "mri-x2", "-o", str(path), "--format", "torchscript"]) == 0
    extra = {"iconet.json": ""}
    exported = torch.jit.load(path, _extra_files=extra)
    facts, network = json.loads(extra["iconet.json"]), iconet.load("mri-x2")
    assert facts["sha256"] == network.sha256 and facts["name"] == "mri-x2" and facts["licence"]
    assert (facts["scale"], facts["halo"]) == ("2", str(network.halo))
    image, intensity = inputs(1, 45, 38)
    with torch.inference_mode():
        expected = network(image, intensity).image
        assert (exported(image, intensity) - expected).abs().max() < 1e-4 * 300


def test_onnx_and_openvino_hold_the_facts_too(network, exported):
    onnx = pytest.importorskip("onnx")
    needed("openvino")
    path = exported("onnx")
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert facts["scale"] == str(network.scale)
    assert [p.name for p in path.parent.iterdir()] == ["net.onnx"]
    path = exported("openvino")
    model = runtimes.openvino_core().read_model(path)
    assert model.get_rt_info(["iconet", "scale"]).astype(str) == str(network.scale)
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.bin", "net.xml"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["mri-x2", "-o", "x.onnx", "--format", "tflite"], "unknown format"),
        (["mri-x2", "-o", "x.onnx", "--format", "openvino"], "ends in .xml"),
        (["mri-x2", "-o", "no/x.onnx"], "does not exist"),
        (["mri-x2", "-o", "there", "--format", "monai-bundle"], "there already"),
        (["mri-x2-joint", "-o", "x.onnx"], "complex images with their k-space"),
        (["mri-x9", "-o", "x.onnx"], "no such model"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(arguments, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert cli.run(["export", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and reason in err
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_is_not_installed_is_named_with_the_remedy(monkeypatch, network, tmp_path):
    monkeypatch.setattr(runtimes, "installed", lambda name: False)
    for format, suffix in (("onnx", ".onnx"), ("openvino", ".xml")):
        with pytest.raises(InputError, match=rf"not installed; .*pip install 'iconet\[{format}\]'"):
            export_model(network, tmp_path / f"net{suffix}", format)
    assert list(tmp_path.iterdir()) == []


def test_openvino_cannot_send_anything():
    needed("openvino")
    openvino = runtimes.import_openvino()
    assert sys.modules["openvino_telemetry"] is None
    assert type(openvino.tools.ovc.telemetry).__module__.endswith("telemetry_stub")


def test_sums_of_shifted_images_are_the_interpolation():
    from iconet.network.interpolation import SincInterpolation
    from iconet.runtime.traceable import ShiftedSinc

    image = torch.rand(2, 3, 17, 20)
    np.testing.assert_allclose(ShiftedSinc()(image), SincInterpolation()(image), atol=1e-6)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("shifted", [False, True])
def test_nothing_of_the_example_is_traced_as_a_constant(scale, shifted):
    """Such warnings reached users: what hides them does so for one thread at a time."""
    from iconet.runtime.traceable import PlainNetwork

    network = iconet.ICONet(scale, width=16, exchanges=1, rec_units=1, sr_units=1)
    example = torch.zeros(2, 1, 40, 51), torch.ones(2, 1, 1, 1)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit itself
        warnings.simplefilter("error", torch.jit.TracerWarning)
        torch.jit.trace(PlainNetwork(network, shifted=shifted), example, check_trace=False)
