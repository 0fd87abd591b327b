"""An extension module with two types of job, to try the API with and to copy from."""

from typing import Final

from api.examples import checksums, report
from api.extensions import Extensions

EXAMPLES: Final = (report.report, checksums.checksums)


def extend(millrace: Extensions) -> None:
    """Register the example jobs. Called once when the application is built.

    Local mode loads this module as if `MILLRACE_EXTENSIONS` named it.
    """
    for example in EXAMPLES:
        millrace.job(example)
