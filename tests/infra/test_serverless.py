"""The template and its parameters."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.aws_deployment import Package, Resources, needs_osls

VARIANTS = [
    ("--stage", "prod"),
    ("--stage", "dev"),
    ("--stage", "prod", "--param=front=rest"),
    ("--stage", "prod", "--param=snapStart=true", "--param=streams=100"),
    (
        *("--stage", "prod", "--param=domain=live.example.com"),
        "--param=certificate=arn:aws:acm:us-east-1:123456789012:certificate/1",
        "--param=alarmEmail=ops@example.com",
    ),
]


@needs_osls
def test_each_variant_of_the_template_passes_cfn_lint(package: Package) -> None:
    """The tool packages without AWS, and CloudFormation's own rules are kept."""
    linted = lint(*(package(*words) for words in VARIANTS))

    assert linted.returncode == 0, linted.stdout + linted.stderr


@needs_osls
def test_a_parameter_that_cannot_be_right_is_refused_before_anything_is_made(
    package: Package,
) -> None:
    """CloudFormation checks a template and its defaults before it begins."""
    wrong = {
        "streams": "-1",
        "origins": "https://app.example.com/",
        "domain": "https://live.example.com",
        "certificate": "arn:aws:acm:eu-central-1:123456789012:certificate/1",
        "alarmEmail": "ops",
        "extensions": "shop/events.py",
        "logLevel": "loud",
    }
    words = [f"--param={name}={value}" for name, value in wrong.items()]

    linted = lint(package("--stage", "prod", *words), options=("--format", "json"))
    refused = {one["Location"]["Path"][1] for one in json.loads(linted.stdout)}
    no_number = lint(package("--stage", "prod", "--param=streams=abc"))

    assert {name[:1].upper() + name[1:] for name in wrong} <= refused
    assert no_number.returncode != 0, no_number.stdout


@needs_osls
def test_a_new_account_can_deploy_without_a_parameter(resources: Resources) -> None:
    """A new account has 10 environments and cannot reserve any."""
    reserved = resources["StreamLambdaFunction"]["Properties"]["ReservedConcurrentExecutions"]

    assert reserved["Fn::If"] == ["ReservesStreams", {"Ref": "Streams"}, {"Ref": "AWS::NoValue"}]


@needs_osls
def test_snap_start_is_a_parameter(package: Package, resources: Resources) -> None:
    """Both functions that serve are then called by an alias of a published version."""
    made = json.loads(package("--stage", "prod", "--param=snapStart=true").read_text())["Resources"]

    for name in ("ApiLambdaFunction", "StreamLambdaFunction"):
        assert made[name]["Properties"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
        assert "SnapStart" not in resources[name]["Properties"]
    url = made["StreamLambdaFunctionUrl"]
    alias = made[url["DependsOn"]]
    assert alias["Type"] == "AWS::Lambda::Alias"
    assert url["Properties"]["TargetFunctionArn"]["Fn::Join"][1][1] == alias["Properties"]["Name"]


@needs_osls
def test_logs_are_not_kept_for_ever(resources: Resources) -> None:
    """Logs cost money, and hold addresses."""
    groups = [one for one in resources.values() if one["Type"] == "AWS::Logs::LogGroup"]

    assert [one["Properties"]["RetentionInDays"] for one in groups] == [30, 30, 30]


def lint(*templates: Path, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    # W3005: a dependency that osls adds and that is implied already.
    program = "from cfnlint.runner import main; main()"
    words = [sys.executable, "-c", program, *options, "--ignore-checks", "W3005", "--"]
    command = [*words, *map(str, templates)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
