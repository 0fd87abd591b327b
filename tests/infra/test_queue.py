"""The template's queue of jobs, and what starts the worker."""

from __future__ import annotations

from tests.support.aws_deployment import Resources, needs_osls


@needs_osls
def test_a_batch_fails_in_part_and_what_nobody_can_finish_is_kept_and_reported(
    resources: Resources,
) -> None:
    """A job that fails is delivered again, without the other four of its batch."""
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
