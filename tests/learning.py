"""A source that learns its secret from the first handshake, as Asana's do, and such a secret."""

FIRST = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
SOURCE = """
[sources.asana]
provider = "hmac"
secrets = ["learned:asana.secret"]
[sources.asana.signature]
header = "X-Hook-Signature"
[sources.asana.delivery]
id = "json:/id"
[[sources.asana.handshake]]
kind = "hook_secret"
signed = false
token = "header:X-Hook-Secret"
headers = { "X-Hook-Secret" = "{token}" }
learn = true
"""
