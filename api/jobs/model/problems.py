"""The problems that jobs alone have."""

from api.problems import ApiError, NotFound


class JobNotFound(NotFound):
    """There is no such job, or it is somebody else's."""

    code = "job-not-found"
    title = "You have no such job"
    remediation = "Check the id; jobs of other users are not shown."


class JobExpired(ApiError):
    """The job was the caller's, and is not kept any more."""

    code = "job-expired"
    status = 410
    title = "The job is done, and has been forgotten since"
    remediation = "Read results before `expires_at`, or create the job again."


class JobWithoutResult(ApiError):
    """The job has not succeeded, so that there is no result."""

    code = "job-without-result"
    status = 409
    title = "The job has no result"
    remediation = "Wait until `status` is succeeded; other jobs have an `error`."


class NotRetryable(ApiError):
    """The job is waiting, is running or has succeeded."""

    code = "not-retryable"
    status = 409
    title = "The job cannot be tried again"
    remediation = "Only jobs that have failed, expired or been canceled can; look at `retryable`."
