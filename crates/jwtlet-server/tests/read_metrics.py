"""Reads metrics with the Prometheus client for Python, strictly, and prints the families as JSON.

Arguments: plain or openmetrics, and a file.
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

form, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    text = file.read()
parse = {"plain": plain, "openmetrics": openmetrics}[form]
families = {}
for family in parse(text):
    assert family.name not in families, f"{family.name} comes twice"
    assert family.type != "unknown", f"{family.name} has no type"
    families[family.name] = {"type": family.type, "samples": len(family.samples)}
assert families, "there is nothing"
json.dump(families, sys.stdout)
