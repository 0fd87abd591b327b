"""An extension module with types of job to try the API with, and to copy from."""

from typing import Final

from api.examples import checksums, report
from api.extensions import Extensions

EXAMPLES: Final = (report.report, checksums.checksums)


def extend(millrace: Extensions) -> None:
    """Have the examples done. Local mode loads this as it would load a team's own module."""
    for example in EXAMPLES:
        millrace.job(example)
