"""The quarantine: what is kept of rejected requests, within bounds, so that `gateway doctor` can say why.

It is never in the way of intake: holding a rejected request is an append to a short list in memory, and a thread of
its own diagnoses and writes at most once a second.
"""

from gateway.quarantine.file import Held, path_of, read
from gateway.quarantine.recorder import Keeping, Recorder
from gateway.quarantine.sample import UNKNOWN, Rejected, Sample
from gateway.quarantine.tally import Tally

__all__ = ["UNKNOWN", "Held", "Keeping", "Recorder", "Rejected", "Sample", "Tally", "path_of", "read"]
