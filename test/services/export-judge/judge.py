"""Judges exports on stdin, one per line as {"ocsf": event} or {"otlp": request}. One line of JSON about each."""

import json
import sys

import jsonschema
from google.protobuf.json_format import ParseDict, ParseError
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
validators = {}


def judge_ocsf(event):
    name = schema.lookup_class_name_from_uid(event["class_uid"])
    profiles = sorted(event["metadata"].get("profiles", []))
    key = (name, *profiles)
    if key not in validators:
        validators[key] = jsonschema.Draft202012Validator(schema.get_class_schema(name, profiles))
    wrong = [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in validators[key].iter_errors(event)]
    return {"class": name, "wrong": wrong}


def judge_otlp(request):
    try:
        # Strict: a member that the protocol does not know is an error.
        message = ParseDict(request, ExportLogsServiceRequest())
    except ParseError as error:
        return {"wrong": [str(error)]}
    records = [r for resource in message.resource_logs for scope in resource.scope_logs for r in scope.log_records]
    names = [record.event_name for record in records]
    return {"wrong": [], "names": names, "times": [record.time_unix_nano for record in records]}


for line in sys.stdin:
    case = json.loads(line)
    print(json.dumps(judge_ocsf(case["ocsf"]) if "ocsf" in case else judge_otlp(case["otlp"])))
