"""A small OTLP/HTTP collector: decodes what it is sent and keeps it.

Run as `python collector.py [SECONDS]`: prints its port; each line on stdin is answered by one line of JSON with all
spans so far. With SECONDS it answers every delivery only after so long.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

spans: list[dict[str, Any]] = []
pause = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0


class Collector(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(pause)
        if self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf":
            spans.extend(read(ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


def read(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    return [
        {
            "name": span.name,
            "trace": span.trace_id.hex(),
            "id": span.span_id.hex(),
            "parent": span.parent_span_id.hex(),
            "kind": span.kind,
            "start": span.start_time_unix_nano / 1e9,
            "end": span.end_time_unix_nano / 1e9,
            "status": span.status.code,
            "message": span.status.message,
            "events": [event.name for event in span.events],
            "attributes": values(span.attributes),
            "resource": values(group.resource.attributes),
        }
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for _ in sys.stdin:
        print(json.dumps(list(spans)), flush=True)
