"""Secrets from the Parameter Store, through the real botocore."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from botocore.exceptions import BotoCoreError
from botocore.session import get_session

from functions.settings import WEB_ROOT, add_page, add_parameters
from tests.support.aws import Aws

PREFIX = "/millrace/prod"


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """A parameter store whose parameters take more than one page."""
    with Aws() as aws, mock.patch.dict(os.environ, aws.environment):
        client = get_session().create_client("ssm")
        values = {f"MILLRACE_EXTRA_{n}": str(n) for n in range(15)}
        values |= {"MILLRACE_SECRET": "from the store", "PATH": "/tmp/evil"}
        for name, value in values.items():
            client.put_parameter(Name=f"{PREFIX}/{name}", Value=value, Type="SecureString")
        client.put_parameter(Name="/millrace/dev/MILLRACE_ENV", Value="local", Type="String")
        yield aws


@pytest.mark.usefixtures("aws")
def test_every_parameter_of_the_stage_becomes_a_setting() -> None:
    """Also those behind the first page of ten, decrypted, and none of another stage."""
    environ: dict[str, str] = {}

    add_parameters(PREFIX, environ)

    assert environ["MILLRACE_SECRET"] == "from the store"
    assert len([name for name in environ if name.startswith("MILLRACE_EXTRA_")]) == 15
    assert "MILLRACE_ENV" not in environ


@pytest.mark.usefixtures("aws")
def test_what_the_function_was_given_itself_wins() -> None:
    """A stage can try one value without touching the store."""
    environ = {"MILLRACE_SECRET": "given"}

    add_parameters(PREFIX, environ)

    assert environ["MILLRACE_SECRET"] == "given"


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_blank_variable_does_not_hide_a_parameter(blank: str) -> None:
    """A blank setting is as good as none."""
    environ = {"MILLRACE_SECRET": blank}

    add_parameters(PREFIX, environ)

    assert environ["MILLRACE_SECRET"] == "from the store"


@pytest.mark.usefixtures("aws")
def test_a_parameter_that_is_no_setting_of_ours_is_left_alone() -> None:
    """Whoever may write a parameter must not thereby choose what the process loads."""
    environ: dict[str, str] = {}

    add_parameters(PREFIX, environ)

    assert "PATH" not in environ


def test_a_store_that_does_not_answer_stops_the_start(aws: Aws) -> None:
    """Rather no function than one without its secrets."""
    nowhere = {**aws.environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}

    with mock.patch.dict(os.environ, nowhere), pytest.raises(BotoCoreError):
        add_parameters(PREFIX, {})


@pytest.mark.parametrize("blank", [{}, {WEB_ROOT: ""}, {WEB_ROOT: " \n"}])
def test_a_blank_variable_does_not_hide_the_page_of_the_package(
    blank: dict[str, str], tmp_path: Path
) -> None:
    """A blank setting is as good as none; a folder that is not there is none either."""
    environ = dict(blank)

    add_page(tmp_path / "nowhere", environ)
    assert environ == blank
    add_page(tmp_path, environ)
    assert environ[WEB_ROOT] == str(tmp_path)


def test_a_page_that_a_setting_names_wins(tmp_path: Path) -> None:
    """An image may bring both."""
    environ = {WEB_ROOT: "/srv/page"}

    add_page(tmp_path, environ)

    assert environ[WEB_ROOT] == "/srv/page"
