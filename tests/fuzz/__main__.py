"""`make fuzz`: FUZZ_REQUESTS and FUZZ_SEED from the environment, exit code 1 on any fault."""

import os
import sys

from tests.fuzz.campaign import main

if __name__ == "__main__":
    sys.exit(main(os.environ))
