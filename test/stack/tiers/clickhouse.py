"""Puts log records into ClickHouse as the collector's exporter does and runs statements: JSON in on stdin, JSON out on stdout."""

import json
import re
import sys
from datetime import datetime, timezone

from chdb import session


def statements(text):
    without = re.sub(r"^\s*--.*$", "", text, flags=re.M)
    return [part.strip() for part in without.split(";\n") if part.strip()]


def text_of(value):
    """As Go's pcommon.Value.AsString."""
    ((kind, content),) = value.items()
    return repr(float(content)) if kind == "doubleValue" else str(content)


def row_of(record):
    seconds, nanos = divmod(int(record["timeUnixNano"]), 10**9)
    return {
        "Timestamp": datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S") + f".{nanos:09d}",
        "TraceId": record["traceId"],
        "SpanId": record["spanId"],
        "ServiceName": "tokenweir",
        "Body": record["body"]["stringValue"],
        "ResourceAttributes": {"service.instance.id": "tiers-test"},
        "LogAttributes": {entry["key"]: text_of(entry["value"]) for entry in record["attributes"]},
    }


given = json.load(sys.stdin)
clickhouse = session.Session()
for statement in statements(given["schema"]):
    clickhouse.query(statement)
rows = "\n".join(json.dumps(row_of(record)) for record in given["records"])
clickhouse.query("INSERT INTO tokenweir.otel_logs FORMAT JSONEachRow " + rows)
answers = []
for statement in given["statements"]:
    result = str(clickhouse.query(statement, "JSONEachRow"))
    answers.append([json.loads(line) for line in result.split("\n") if line])
json.dump(answers, sys.stdout)
