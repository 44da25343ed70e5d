"""Packages that only an extra of iconet installs, and what to say where one is missing."""

EXTRAS = {
    "train": (
        *("lightning", "lightning_fabric", "matplotlib", "pydantic"),
        *("scipy", "tensorboard", "yaml"),
    ),
    "node": ("pynetdicom", "dicomweb_client", "requests", "pydantic", "yaml"),
    "view": ("starlette", "uvicorn"),
    "cluster": ("distributed",),
    "notebook": ("ipyniivue", "ipywidgets", "matplotlib"),
    "openvino": ("openvino",),
    "onnx": ("onnx", "onnxruntime"),
}
"""What is imported, by the extra in pyproject.toml that has it."""


def remedy(module: str) -> str | None:
    """One line that says how to install a module; None if no extra has it."""
    package = module.partition(".")[0]
    for extra, packages in EXTRAS.items():
        if package in packages:
            return f"{package} is not installed; it comes with: pip install 'iconet[{extra}]'"
    return None
