"""What the template lets a function do, and lets be read of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.aws_deployment import Resources, needs_osls


@needs_osls
def test_each_function_has_its_own_role_and_no_role_may_do_everything_anywhere(
    resources: Resources,
) -> None:
    """A function that is broken into can do only what it needs."""
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
    """Reading the configuration of a function must not show its secrets."""
    for function in ("ApiLambdaFunction", "StreamLambdaFunction", "WorkerLambdaFunction"):
        variables = resources[function]["Properties"]["Environment"]["Variables"]
        assert variables["MILLRACE_SSM_PREFIX"] == "/millrace/prod"
        assert not {"MILLRACE_SECRET", "UPSTASH_REDIS_REST_TOKEN", "ABLY_API_KEY"} & {*variables}


def _statements(resources: Resources) -> Iterator[dict[str, Any]]:
    for role in resources.values():
        if role["Type"] == "AWS::IAM::Role":
            for policy in role["Properties"]["Policies"]:
                yield from policy["PolicyDocument"]["Statement"]
