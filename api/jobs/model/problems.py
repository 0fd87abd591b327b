"""The problems that only requests about jobs are answered with."""

from api.problems import ApiError, NotFound


class JobNotFound(NotFound):
    """Raised when there is no such job, or when it belongs to somebody else."""

    code = "job-not-found"
    title = "You have no such job"
    remediation = "Check the id; jobs of other users are not shown."


class JobExpired(ApiError):
    """Raised when the job was the caller's, but ended so long ago that it is not kept."""

    code = "job-expired"
    status = 410
    title = "The job is done, and has been forgotten since"
    remediation = "Read results before `expires_at`, or create the job again."


class JobWithoutResult(ApiError):
    """Raised when the result of a job is asked for that has not succeeded."""

    code = "job-without-result"
    status = 409
    title = "The job has no result"
    remediation = "Wait until `status` is succeeded; other jobs have an `error`."


class NotRetryable(ApiError):
    """Raised when a retry is asked for a job that waits, runs or has succeeded."""

    code = "not-retryable"
    status = 409
    title = "The job cannot be tried again"
    remediation = "Only jobs that have failed, expired or been canceled can; look at `retryable`."
