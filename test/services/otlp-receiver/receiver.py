"""An OTLP/HTTP logs receiver made of the official protobuf definitions: a body with a member they do not have is refused."""
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            request = ParseDict(json.loads(body), ExportLogsServiceRequest(), ignore_unknown_fields=False)
        except (ParseError, ValueError) as error:
            print(json.dumps({"refused": str(error)}), flush=True)
            self.answer(400, {})
            return
        for logs in request.resource_logs:
            resource = {one.key: one.value.string_value for one in logs.resource.attributes}
            for scope in logs.scope_logs:
                for record in scope.log_records:
                    values = {one.key: one.value for one in record.attributes}
                    said = {
                        "service": resource["service.name"],
                        "index": values["gatewrit.record.index"].int_value,
                        "origin": values["gatewrit.record.origin"].string_value,
                        "time": str(record.time_unix_nano),
                        "severity": record.severity_number,
                        "body": record.body.WhichOneof("value"),
                    }
                    print(json.dumps(said), flush=True)
        self.answer(200, MessageToDict(ExportLogsServiceResponse()))

    def answer(self, status, message):
        body = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
server.serve_forever()
