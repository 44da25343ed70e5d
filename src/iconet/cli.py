"""The command line: one thin function a command.

Exit codes: 0 done; 2 the input or the call is wrong (one line on standard error, nothing written);
130 interrupted; 143 terminated; 1 anything else.
"""

import gc
import io
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from iconet import recipes
from iconet.errors import InputError
from iconet.extras import remedy
from iconet.runtime.allocator import keep_freed_blocks

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Super-resolution of medical images. Research use, not for diagnosis.",
)
node = typer.Typer(no_args_is_help=True, help="A DICOM node: series in, upscaled series back.")
app.add_typer(node, name="node")

ModelOption = Annotated[
    str | None,
    typer.Option(
        help="Name of a trained model, or path of a .safetensors file; mri-x2 by default. For a "
        "network of your own: package.module:Class@FILE."
    ),
]
KindOption = Annotated[
    str,
    typer.Option(
        help="What the image is, if iconet guesses wrong: mr, ct, pet, map, labels, mask, "
        "probabilities, real, imaginary or phase."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Values to replace in the recipe."),
]
SeriesOption = Annotated[
    str | None,
    typer.Option(
        help="Which DICOM series, if there are several: UID, number or part of its description."
    ),
]
VolumeOption = Annotated[
    int | None,
    typer.Option(
        help="Which volume of a 4-D scan, or of a DICOM series with several echoes, b-values, "
        "phases or times; counted from 1; by default all."
    ),
]
MissingOption = Annotated[
    bool,
    typer.Option(
        "--allow-missing", help="Leave out files of a DICOM series that cannot be read; name them."
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace outputs that exist already.")
]
NodeFile = Annotated[Path, typer.Argument(metavar="CONFIG.yaml")]
RecipeFile = Annotated[
    Path,
    typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a recipe of the package."),
]


def recipes_of_the_package(*, benchmark: bool) -> str:
    """What the help says of the recipes that come with the package."""
    listed = ", ".join(recipes.names(benchmark=benchmark))
    return f"Recipes of the package, in {recipes.FOLDER}: {listed}."


def main() -> None:
    """Run the program and exit with its code."""
    start(lambda: run(sys.argv[1:]))


def start(program: Callable[[], int]) -> None:
    """Run a program in the way of all of ours, and exit with its code."""
    keep_freed_blocks()
    # Names that are not UTF-8 are escaped, as on standard error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # As an exception, so that what was begun is removed: a scheduler's time limit sends this.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    code = program()
    gc.freeze()  # Python would go through all of torch's objects once more before it ends: 0.4 s
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the program and return its exit code."""
    command = typer.main.get_command(app)
    return answered(lambda: command.main(arguments, prog_name="iconet", standalone_mode=False))


def answered(call: Callable[[], object]) -> int:
    """The exit code of a call; what is wrong with the input is said on one line."""
    try:
        code = call()
    except InputError as error:
        return complain(error)
    except ModuleNotFoundError as error:
        if (line := remedy(error.name or "")) is None:
            raise
        return complain(line)
    except typer.TyperException as error:  # a wrong call, such as an unknown option
        message = error.format_message()  # empty where the help was shown instead
        return complain(message) if message else error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        return 1
    if code == 130:
        print("iconet: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def complain(reason: object) -> int:
    """Say on one line of standard error what is wrong with the input or the call."""
    print("iconet: error:", " ".join(str(reason).split()), file=sys.stderr)
    return 2


def say_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        import iconet

        print(f"iconet {iconet.__version__}")
        raise typer.Exit


@app.callback()
def iconet(
    version: Annotated[
        bool,
        typer.Option("--version", callback=say_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Super-resolution of medical images. Research use, not for diagnosis."""


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the scans and the picture.")
    ] = Path("iconet-demo"),
) -> None:
    """Upscale the bundled scan and compare it with interpolation and with the truth."""
    import iconet.demo

    iconet.demo.run(output)


@app.command()
def upscale(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN...",
            help="Scans: .nii, .nii.gz, .nrrd, .mha, .npy, .png, .tif; DICOM folders and zips; "
            "raw k-space: .h5, .mrd; folders of scans; BIDS datasets.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            *("--output", "-o"),
            help="File for one scan, else a folder; a derived DICOM series is a folder too. A BIDS "
            "dataset has a default: derivatives/iconet.",
        ),
    ] = None,
    model: ModelOption = None,
    scale: Annotated[
        int | None,
        typer.Option(
            help="2 or 4; chooses the model if --model is not given. 1 reconstructs raw k-space "
            "and enlarges nothing."
        ),
    ] = None,
    plane: Annotated[
        str, typer.Option(help="Plane of the slices: auto, axial, coronal, sagittal, i, j or k.")
    ] = "auto",
    axes: Annotated[
        str,
        typer.Option(
            help="Voxel axes to enlarge, such as k or ij; auto: the two axes of the plane."
        ),
    ] = "auto",
    spacing: Annotated[
        str | None, typer.Option(help="Spacing of the result in mm: 1.0, or 0.5x0.5x1.0 (i, j, k).")
    ] = None,
    isotropic: Annotated[
        bool,
        typer.Option("--isotropic", help="Make thick slices as thin as their pixels are wide."),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ... or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    backend: Annotated[
        str, typer.Option(help="What runs the network: auto, torch, openvino or onnxruntime.")
    ] = "auto",
    tile: Annotated[
        int | None, typer.Option(help="Side of the tiles of large slices, in input pixels.")
    ] = None,
    series: SeriesOption = None,
    volume: VolumeOption = None,
    allow_missing: MissingOption = False,
    all_series: Annotated[
        bool,
        typer.Option(
            "--all-series", help="Take every DICOM series; each gets a folder in --output."
        ),
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(
            help="Take every series of a modality (mr, ct, pet), or with this description."
        ),
    ] = None,
    acquired: Annotated[
        str,
        typer.Option(
            help="Acquired matrix, if the scanner interpolated the slices: auto, off, or numbers "
            "such as 192x256."
        ),
    ] = "auto",
    window: Annotated[
        str,
        typer.Option(
            help="K-space window to undo: auto, none, hamming, hann, fermi, tukey or elliptical."
        ),
    ] = "auto",
    kind: KindOption = "auto",
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            help="Labels on the scan's grid; they are written on the result's grid, beside it."
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", help="Scans at the same time; they share cores and memory."),
    ] = 1,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Do part I of N; auto in an array of jobs of Slurm, Grid Engine or LSF.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask scheduler; its workers do the scans. For example tcp://head:8786.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    again: Annotated[
        bool, typer.Option("--again", help="Upscale results of iconet once more.")
    ] = False,
    complex: Annotated[
        bool, typer.Option("--complex", help="Write the complex image of raw k-space, as NIfTI.")
    ] = False,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty",
            help="Write bounds of 90 % intervals too (OUT_desc-lower, OUT_desc-upper), and how far"
            " the result is from the scan (OUT_desc-residual).",
        ),
    ] = False,
    best: Annotated[
        bool,
        typer.Option(
            "--best",
            help="Take the mean of eight answers: of the slice flipped and turned. It takes up to 8"
            " times as long, and gains 0.06 to 0.17 dB on our test scans.",
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Refuse scans that are unlike those the model knows."),
    ] = False,
    report: Annotated[
        bool,
        typer.Option("--report", help="Write OUT.report.json: what was done, how well it fits."),
    ] = False,
    html: Annotated[
        bool,
        typer.Option(
            "--html",
            help="Write OUT.report.html too: a page with pictures; for a folder an index.html.",
        ),
    ] = False,
) -> None:
    """Make scans finer: in the plane of their slices, across them, or to any spacing.

    Rerun the command to resume a study; finished scans are skipped.
    """
    import os

    from iconet.study.part import Part
    from iconet.study.shard import read_shard
    from iconet.study.study import upscale_study
    from iconet.upscaling.options import Options

    failed = upscale_study(
        inputs,
        output,
        Options(
            *(model, scale, plane, axes, spacing, isotropic, device, precision, backend),
            tile=tile,
            series=series,
            acquired=acquired,
            window=window,
            kind=kind,
            volume=volume,
            allow_missing=allow_missing,
            again=again,
            complex=complex,
            uncertainty=uncertainty,
            best=best,
            strict=strict,
        ),
        jobs=jobs,
        overwrite=overwrite,
        reports=report,
        pages=html,
        labels=labels or (),
        part=Part(
            shard=None if shard is None else read_shard(shard, os.environ),
            all_series=all_series,
            only=only,
        ),
        cluster=cluster,
        say=lambda line: print(line, file=sys.stderr),
        complain=complain,
    )
    if failed:
        raise typer.Exit(2)


@app.command()
def view(
    scans: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SCAN]...", help="Scans or folders to begin with."),
    ] = None,
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Open a browser; the address is printed."),
    ] = True,
) -> None:
    """Open a page on this computer: drop a scan, upscale it, compare before and after."""
    from iconet.view.run import view

    view(scans or [], browser=browser)


@app.command()
def models(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what each network is made of.")
    ] = False,
) -> None:
    """List the trained models and what each is for."""
    from iconet import zoo

    for entry in zoo.catalogue():
        print(f"{entry.name}  {entry.scale}x  {entry.purpose} ({entry.licence})")
        if verbose:
            from iconet.zoo.model import open_model

            print(open_model(entry.name, kind="").details)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="Trained model or path of a .safetensors file.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File, or folder of a bundle.", show_default=False),
    ],
    format: Annotated[
        str,
        typer.Option(help="onnx, openvino, torchscript, torch-export or monai-bundle."),
    ] = "onnx",
    overwrite: OverwriteOption = False,
) -> None:
    """Write a trained model for another program. It takes any batch, height and width."""
    from iconet.export import export_model

    print(export_model(model, output, format, overwrite=overwrite))


@app.command()
def degrade(
    scan: Annotated[Path, typer.Argument(metavar="IN", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", show_default=False)],
    scale: Annotated[int, typer.Option(help="How many times fewer voxels along each side.")] = 2,
    axis: Annotated[
        str | None,
        typer.Option(
            help="Make thick slices across this axis (i, j or k) instead; their plane stays."
        ),
    ] = None,
    thickness: Annotated[
        float | None,
        typer.Option(help="Thickness of the slices in mm; less than their distance leaves gaps."),
    ] = None,
    noise: Annotated[
        float,
        typer.Option(metavar="PERCENT", help="Rician noise, in percent of the bright tissue."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the noise.", min=0, max=2**63 - 1)] = 0,
    series: SeriesOption = None,
    kind: KindOption = "auto",
    volume: VolumeOption = None,
    allow_missing: MissingOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Make a low-resolution scan to try things on: k-space cropped in plane, or thick slices."""
    from iconet.upscaling.degrade import degrade_file

    line = degrade_file(
        *(scan, output),
        axis=axis,
        thickness=thickness,
        scale=scale,
        noise=noise,
        seed=seed,
        series=series,
        kind=kind,
        volume=volume,
        allow_missing=allow_missing,
        overwrite=overwrite,
    )
    print(line, file=sys.stderr)


@app.command()
def evaluate(
    prediction: Annotated[Path, typer.Argument(show_default=False)],
    reference: Annotated[Path, typer.Argument(show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    kind: KindOption = "auto",
) -> None:
    """Compare a scan with the truth: PSNR, SSIM, NMSE, HaarPSI, with their conventions."""
    from iconet.evaluation.compare import compare_files

    result = compare_files(prediction, reference, kind=kind)
    print(result.to_json() if json else result)


@app.command(epilog=recipes_of_the_package(benchmark=False))
def train(
    recipe: RecipeFile,
    overrides: Overrides = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the weights; runs/NAME by default."),
    ] = None,
    max_time: Annotated[str | None, typer.Option(help="End in time, such as 45m or 2h.")] = None,
    devices: Annotated[
        int | None,
        typer.Option(
            help="GPUs of a node that share the work, or processes on its CPU. By default 1, or "
            "what srun or torchrun started.",
            min=1,
        ),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(help="Nodes that share the work, started by srun or torchrun.", min=1),
    ] = None,
) -> None:
    """Train a network by a recipe. Rerun the command to resume."""
    from iconet import training

    path = training.train(
        recipe, overrides or [], output=output, max_time=max_time, devices=devices, nodes=nodes
    )
    print(path)


@app.command(epilog=recipes_of_the_package(benchmark=True))
def benchmark(
    recipe: RecipeFile,
    overrides: Overrides = None,
    max_time: Annotated[
        str | None, typer.Option(help="Start no new work after this time, such as 40m.")
    ] = None,
) -> None:
    """Train networks at equal cost and test them, by a recipe. Rerun the command to resume.

    You may run the command several times at once: the workers share the queue.
    """
    from iconet.evaluation import benchmark

    benchmark.run(recipe, overrides or [], max_time=max_time)


@node.command("run")
def node_run(config: NodeFile) -> None:
    """Run a node: receive series, upscale them, send the results. Stops on SIGTERM."""
    from iconet.node.run import run as run_node
    from iconet.node.settings import read_settings

    run_node(read_settings(config))


@node.command("status")
def node_status(
    config: NodeFile,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a node has, what waits to be sent, and what was refused and why."""
    from json import dumps

    from iconet.node.settings import read_settings
    from iconet.node.status import status_of

    status = status_of(read_settings(config))
    print(dumps(status.content, indent=2) if json else "\n".join(status.lines()))


@node.command("check")
def node_check(config: NodeFile) -> None:
    """Try the configuration: folder, disk, models, certificates, and every peer."""
    from iconet.node.check import check
    from iconet.node.settings import read_settings

    wrong = False
    for what, why in check(read_settings(config)):
        print(f"{what}: {why or 'ok'}")
        wrong = wrong or why is not None
    if wrong:
        raise typer.Exit(2)


@node.command("retry")
def node_retry(
    config: NodeFile,
    series: Annotated[
        str | None, typer.Argument(help="Series UID, or its name in the log; by default all.")
    ] = None,
) -> None:
    """Try refused and failed series again, for example after a change of the rules."""
    from iconet.node.settings import read_settings
    from iconet.node.status import retry

    print(f"{retry(read_settings(config), series)} taken up again", file=sys.stderr)


if __name__ == "__main__":
    main()
