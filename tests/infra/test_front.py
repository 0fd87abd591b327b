"""The template's way to a function: the CDN, a Function URL or a REST API."""

from __future__ import annotations

import json

import pytest

from tests.support.aws_deployment import Package, Resources, needs_osls
from tests.support.local_server import ROOT


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
