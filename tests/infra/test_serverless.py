"""serverless.yml as osls turns it into a CloudFormation template, without AWS."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.aws.package import Target, archive, build
from tests.support.instances import SECRET
from tests.support.local_server import ROOT

AWS = ROOT / "infra" / "aws"
OSLS = AWS / "node_modules" / ".bin" / "osls"
MB = 1_000_000
NOWHERE = "http://127.0.0.1:9"

needs_osls = pytest.mark.skipif(
    not (shutil.which("node") and OSLS.exists()), reason="Node or osls is not installed"
)

Resources = dict[str, Any]
Package = Callable[..., Path]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Packages a copy of what the deployment is described in; returns the template."""
    folder = tmp_path_factory.mktemp("deployment")
    shutil.copy(ROOT / "serverless.yml", folder)
    shutil.copytree(AWS, folder / "infra" / "aws", ignore=shutil.ignore_patterns("node_modules"))
    (folder / "build").mkdir()
    (folder / "build" / "lambda.zip").write_bytes(b"PK\5\6" + bytes(18))  # an empty archive

    @cache
    def run(*words: str) -> Path:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        offline = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "SLS_NOTIFICATIONS_MODE": "off"}
        node = shutil.which("node")
        assert node is not None
        done = subprocess.run(
            [node, OSLS, "package", *words],
            cwd=folder,
            env=kept | offline,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        kept_as = folder / f"{len(list(folder.glob('*.json')))}.json"
        made = folder / ".serverless" / "cloudformation-template-update-stack.json"
        return Path(shutil.copy(made, kept_as))

    return run


@pytest.fixture
def resources(package: Package) -> Resources:
    """The template's resources by logical id."""
    return dict(json.loads(package("--stage", "prod").read_text())["Resources"])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the archive holds, built for the interpreter and processor of the tests."""
    folder = tmp_path_factory.mktemp("package") / "tree"
    target = Target(f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine())
    assert build(target, folder) == 0
    return folder


@needs_osls
@pytest.mark.parametrize(
    "words",
    [
        ("--stage", "prod"),
        ("--stage", "dev"),
        ("--stage", "prod", "--param=front=rest"),
        ("--stage", "prod", "--param=snapStart=true", "--param=streams=100"),
        (
            *("--stage", "prod", "--param=domain=live.example.com"),
            "--param=certificate=arn:aws:acm:us-east-1:123456789012:certificate/1",
            "--param=alarmEmail=ops@example.com",
        ),
    ],
)
def test_each_variant_of_the_template_passes_cfn_lint(
    package: Package, words: tuple[str, ...]
) -> None:
    """The tool packages without AWS, and CloudFormation's own rules are kept."""
    linted = lint(package(*words))

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

    linted = lint(package("--stage", "prod", *words), "--format", "json")
    refused = {one["Location"]["Path"][1] for one in json.loads(linted.stdout)}
    no_number = lint(package("--stage", "prod", "--param=streams=abc"))

    assert {name[:1].upper() + name[1:] for name in wrong} <= refused
    assert no_number.returncode != 0, no_number.stdout


@needs_osls
def test_a_new_account_can_deploy_without_a_parameter(resources: Resources) -> None:
    """It has 10 environments in all and may reserve none."""
    reserved = resources["StreamLambdaFunction"]["Properties"]["ReservedConcurrentExecutions"]

    assert reserved["Fn::If"] == ["ReservesStreams", {"Ref": "Streams"}, {"Ref": "AWS::NoValue"}]


@needs_osls
@pytest.mark.parametrize("front", ["url", "rest"])
def test_the_functions_answer_the_cdn_alone(package: Package, front: str) -> None:
    """Each origin is shown the secret that each function asks for; the template lacks its text."""
    words = ("--stage", "prod", f"--param=front={front}")
    made = json.loads(package(*words).read_text())["Resources"]
    origins = made["Cdn"]["Properties"]["DistributionConfig"]["Origins"]
    secret = {"Fn::Sub": "{{resolve:secretsmanager:${OriginSecret}}}"}

    for origin in origins:
        assert origin["OriginCustomHeaders"] == [
            {"HeaderName": "X-Origin-Secret", "HeaderValue": secret}
        ]
    for function in ("ApiLambdaFunction", "StreamLambdaFunction"):
        variables = made[function]["Properties"]["Environment"]["Variables"]
        assert variables["MILLRACE_ORIGIN_SECRET"] == secret
        assert variables["MILLRACE_TRUSTED_PROXIES"] == "2"
    assert ("ApiGatewayRestApi" in json.dumps(origins[1]["DomainName"])) == (front == "rest")


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
def test_streams_are_streamed_and_cannot_starve_the_rest(package: Package) -> None:
    """One open stream is one environment: without a reservation they take all there are."""
    template = json.loads(package("--stage", "prod", "--param=streams=100").read_text())
    resources = template["Resources"]
    function = resources["StreamLambdaFunction"]["Properties"]

    assert resources["StreamLambdaFunctionUrl"]["Properties"]["InvokeMode"] == "RESPONSE_STREAM"
    assert {"Ref": "Streams"} in function["ReservedConcurrentExecutions"]["Fn::If"]
    assert int(template["Parameters"]["Streams"]["Default"]) == 100
    assert "ReservedConcurrentExecutions" not in resources["ApiLambdaFunction"]["Properties"]
    wrapper = function["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"]
    script = ROOT / wrapper.removeprefix("/var/task/")
    assert script.read_text().startswith("#!/bin/sh")


@needs_osls
def test_a_new_function_url_may_be_called(resources: Resources) -> None:
    """Since late 2025 that takes two permissions; with one, each call is 403."""
    permissions = [
        one["Properties"]
        for one in resources.values()
        if one["Type"] == "AWS::Lambda::Permission"
        and one["Properties"]["FunctionName"] == {"Fn::GetAtt": ["StreamLambdaFunction", "Arn"]}
    ]

    assert {one["Action"] for one in permissions} == {
        "lambda:InvokeFunctionUrl",
        "lambda:InvokeFunction",
    }
    assert all(
        one.get("FunctionUrlAuthType") == "NONE" or one.get("InvokedViaFunctionUrl")
        for one in permissions
    )


@needs_osls
def test_the_rest_api_streams_where_it_is_chosen(package: Package) -> None:
    """For those who need its authorisers and its firewall."""
    made = json.loads(package("--stage", "prod", "--param=front=rest").read_text())["Resources"]

    [integration] = [
        one["Properties"]["Integration"]
        for one in made.values()
        if one["Type"] == "AWS::ApiGateway::Method"
    ]
    assert integration["ResponseTransferMode"] == "STREAM"
    assert "response-streaming-invocations" in json.dumps(integration["Uri"])


@needs_osls
def test_a_batch_fails_in_part_and_what_nobody_can_finish_is_kept_and_reported(
    resources: Resources,
) -> None:
    """One bad job must not repeat four good ones, nor vanish."""
    [mapping] = [
        one["Properties"]
        for one in resources.values()
        if one["Type"] == "AWS::Lambda::EventSourceMapping"
    ]
    queue = resources["JobsQueue"]["Properties"]
    worker = resources["WorkerLambdaFunction"]["Properties"]
    alarm = resources["JobsDeadLettersAlarm"]["Properties"]

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": ["JobsDeadLetters", "Arn"]},
        "maxReceiveCount": 5,
    }
    assert queue["VisibilityTimeout"] >= 6 * worker["Timeout"]
    assert resources["JobsDeadLetters"]["Properties"]["MessageRetentionPeriod"] == 14 * 86_400
    assert alarm["Threshold"] == 0
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


@needs_osls
def test_jobs_that_were_stored_and_never_sent_are_looked_for(resources: Resources) -> None:
    """Without messages nothing else would start the worker."""
    [rule] = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Events::Rule"]
    [target] = rule["Targets"]

    assert rule["ScheduleExpression"] == "rate(5 minutes)"
    assert target["Arn"] == {"Fn::GetAtt": ["WorkerLambdaFunction", "Arn"]}


@needs_osls
def test_each_function_has_its_own_role_and_no_role_may_do_everything_anywhere(
    resources: Resources,
) -> None:
    """What one function can do when it is broken into is what it needs."""
    functions = [one for one in resources.values() if one["Type"] == "AWS::Lambda::Function"]
    roles = {json.dumps(one["Properties"]["Role"]) for one in functions}

    statements = list(_statements(resources))

    assert len(roles) == len(functions) == 3
    assert statements
    for statement in statements:
        assert "*" not in json.dumps(statement["Action"])
        assert statement["Resource"] != "*"


@needs_osls
def test_secrets_are_named_in_the_template_and_not_held(resources: Resources) -> None:
    """Who may read a function's configuration must not thereby read its secrets."""
    for function in ("ApiLambdaFunction", "StreamLambdaFunction", "WorkerLambdaFunction"):
        variables = resources[function]["Properties"]["Environment"]["Variables"]
        assert variables["MILLRACE_SSM_PREFIX"] == "/millrace/prod"
        assert not {"MILLRACE_SECRET", "UPSTASH_REDIS_REST_TOKEN", "ABLY_API_KEY"} & {*variables}


@needs_osls
def test_logs_are_not_kept_for_ever(resources: Resources) -> None:
    """They cost, and they hold addresses."""
    groups = [one for one in resources.values() if one["Type"] == "AWS::Logs::LogGroup"]

    assert [one["Properties"]["RetentionInDays"] for one in groups] == [30, 30, 30]


@needs_osls
def test_the_cdn_sends_streams_to_the_function_that_streams_and_compresses_nothing(
    resources: Resources,
) -> None:
    """One domain for both, so that cookies and EventSource need no CORS."""
    config = resources["Cdn"]["Properties"]["DistributionConfig"]
    targets = {one["PathPattern"]: one["TargetOriginId"] for one in config["CacheBehaviors"]}

    assert config["DefaultCacheBehavior"]["TargetOriginId"] == "api"
    assert targets["/api/events"] == "stream"
    assert set(targets.values()) == {"stream"}
    assert not any(
        one["Compress"] for one in [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    )


@needs_osls
def test_every_handler_is_in_the_package_and_imports_there(
    resources: Resources, tree: Path
) -> None:
    """With what the archive holds and nothing else: no module was pruned that is needed."""
    handlers = [
        one["Properties"]["Handler"]
        for one in resources.values()
        if one["Type"] == "AWS::Lambda::Function"
    ]
    settings = {
        "UPSTASH_REDIS_REST_URL": NOWHERE,
        "UPSTASH_REDIS_REST_TOKEN": "none",
        "MILLRACE_SECRET": SECRET.replace("local", "other"),
        "MILLRACE_JOBS_QUEUE_URL": f"{NOWHERE}/0/jobs",
    }

    for handler in handlers:
        module, _, name = handler.rpartition(".")
        program = f"import sys; sys.path[:0] = ['.']; import {module}; {module}.{name}"
        # Neither this environment's packages nor this tree.
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            cwd=tree,
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{handler}: {done.stderr}"


def test_what_is_loaded_lazily_is_in_the_package_too(tree: Path) -> None:
    """The SDK of the chat, and what proves the tokens of an identity provider."""
    program = (
        "import sys; sys.path[:0] = ['.']; import ably, jwt; jwt.get_algorithm_by_name('RS256')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_the_archive_for_lambda_has_at_most_12_mb_with_its_bytecode(tmp_path: Path) -> None:
    """Each cold start fetches and unpacks it."""
    assert build(Target("3.13", "aarch64"), tmp_path / "tree") == 0
    archive(tmp_path / "tree", tmp_path / "lambda.zip")

    assert (tmp_path / "lambda.zip").stat().st_size <= 12 * MB


def lint(template: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # W3005: a dependency that osls adds and that is implied already.
    program = "from cfnlint.runner import main; main()"
    words = [sys.executable, "-c", program, *options, "--ignore-checks", "W3005", "--"]
    return subprocess.run([*words, str(template)], capture_output=True, text=True, check=False)


def _statements(resources: Resources) -> Iterator[dict[str, Any]]:
    for role in resources.values():
        if role["Type"] == "AWS::IAM::Role":
            for policy in role["Properties"]["Policies"]:
                yield from policy["PolicyDocument"]["Statement"]
