"""`python -m gateway.config` writes the JSON Schema of gateway.toml to standard output."""

import json
import sys

from gateway.config import schema

sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
