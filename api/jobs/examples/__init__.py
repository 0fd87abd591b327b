"""Types of job to try the API with, and to copy from."""

from typing import Final

from api.jobs.examples import checksums, report

EXAMPLES: Final = (report.report, checksums.checksums)
