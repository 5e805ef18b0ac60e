"""Write the OpenAPI document of the admin listener to standard output."""

import sys

import orjson

from gateway.admin import openapi

sys.stdout.buffer.write(orjson.dumps(openapi.document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
