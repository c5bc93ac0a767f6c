"""Whether traces are made, as OpenTelemetry's variables say."""

from __future__ import annotations

import logging

import pytest

from enginehouse.server.tracing import open_traces

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_SERVICE_NAME": "house"},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "True"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_an_endpoint_or_switched_off_there_are_none(variables, caplog):
    with caplog.at_level(logging.INFO):
        assert open_traces(variables) is None
    assert not caplog.records


def test_a_protocol_that_is_not_spoken_is_named(caplog):
    variables = {
        **ENDPOINT,
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    assert open_traces(variables) is None
    (record,) = caplog.records
    assert "grpc is not spoken, only http/protobuf" in record.getMessage()


def test_with_an_endpoint_there_are(caplog):
    with caplog.at_level(logging.INFO, logger="enginehouse"):
        traces = open_traces({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
    assert traces is not None
    traces.close()
    assert "are sent to http://127.0.0.1:4318" in caplog.text
