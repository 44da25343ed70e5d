"""What GitHub runs and asks: a mistake there is otherwise seen only when it is late."""

import re
from pathlib import Path

import pytest
import yaml

GITHUB = Path(__file__).parents[1] / ".github"
if not GITHUB.is_dir():
    pytest.skip("in the repository, not in a source distribution", allow_module_level=True)
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
FORMS = sorted(set(GITHUB.glob("ISSUE_TEMPLATE/*.yml")) - {GITHUB / "ISSUE_TEMPLATE/config.yml"})


def named(path: Path) -> str:
    return path.stem


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def commands(job: dict) -> str:
    return "\n".join(step["run"] for step in job["steps"] if "run" in step)


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_a_workflow_may_only_read_and_keeps_no_credentials(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        writes = {what for what, how in job.get("permissions", {}).items() if how == "write"}
        assert not writes or name == "publish", "what may write does nothing else"
        assert not writes or not commands(job)
        for step in job["steps"]:
            action, _, version = step.get("uses", "@-").partition("@")
            assert version, f"{action} without a version"
            if action == "actions/checkout":
                assert step["with"]["persist-credentials"] is False
    assert "secrets." not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_a_workflow_runs_what_is_there(path: Path) -> None:
    run = "\n".join(commands(job) for job in read(path)["jobs"].values())
    makefile = (GITHUB.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake (\w+)", run):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for name in re.findall(r"(?:tools|packaging|tests|src)/[\w./-]+", run):
        assert (GITHUB.parent / name).exists(), name


def test_tests_run_on_every_python_that_is_promised_and_on_three_systems() -> None:
    jobs = read(GITHUB / "workflows" / "tests.yml")["jobs"]
    project = (GITHUB.parent / "pyproject.toml").read_text(encoding="utf-8")
    promised = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    assert jobs["linux"]["strategy"]["matrix"]["python"] == promised
    systems = {job["runs-on"].partition("-")[0] for job in jobs.values()}
    assert systems == {"ubuntu", "macos", "windows"}


def test_a_release_is_tried_before_it_is_published_by_trusted_publishing() -> None:
    workflow = read(GITHUB / "workflows" / "release.yml")
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    tried = commands(build)
    assert tried.index("python -m build") < tried.index("twine check --strict")
    assert "tools/release/try_wheel.py" in tried
    assert publish["needs"] == "build"
    assert "tag" in publish["if"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"]["name"] == "pypi"
    action = publish["steps"][-1]
    assert action["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert action["with"] == {"attestations": True}, "no password, no other index"


@pytest.mark.parametrize("path", FORMS, ids=named)
def test_a_form_has_what_github_wants(path: Path) -> None:
    form = read(path)
    assert form["name"] and form["description"]
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in asked]
    assert len(ids) == len(set(ids)) > 1
    assert all(field["attributes"]["label"] for field in asked)


@pytest.mark.parametrize("name", ["bug", "result"])
def test_a_form_for_what_went_wrong_asks_for_the_report_and_for_no_patient_data(name: str) -> None:
    body = read(GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml")["body"]
    (report,) = [field for field in body if field.get("id") == "report"]
    assert report["attributes"]["render"] == "json"
    assert report["validations"]["required"] is True
    assert "--report" in report["attributes"]["description"]
    assert "No patient data" in body[0]["attributes"]["value"]
