"""The workers' metrics beside the server's own."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily

from enginehouse.server import worker_metrics
from enginehouse.server.worker_metrics import Page, Source, read_pages, render

ONE, TWO = Source("one", "0", "/nowhere"), Source("two", "1", "/nowhere")
PAGE = """# HELP a_total As.
# TYPE a_total counter
a_total{code="x"} 2
# HELP b Bs.
# TYPE b histogram
b_bucket{le="1"} 1
b_bucket{le="+Inf"} 2
b_sum 3
b_count 2
"""


def rendered(*pages: Page) -> list[str]:
    return render([GaugeMetricFamily("own", "Own.", value=1)], pages).decode().splitlines()


def test_pages_are_merged_by_family_and_labelled() -> None:
    lines = rendered(Page(ONE, PAGE), Page(TWO, PAGE))
    assert lines.count("# TYPE a_total counter") == 1 and lines.count("# TYPE b histogram") == 1
    assert 'a_total{code="x",model="one",replica="0"} 2.0' in lines
    assert 'a_total{code="x",model="two",replica="1"} 2.0' in lines
    assert 'b_bucket{le="+Inf",model="two",replica="1"} 2.0' in lines
    assert "own 1.0" in lines
    assert 'enginehouse_worker_up{model="one",replica="0"} 1.0' in lines


def test_a_label_of_the_workers_own_is_kept_beside() -> None:
    lines = rendered(Page(ONE, '# TYPE c gauge\nc{model="weights"} 1\n'))
    assert 'c{exported_model="weights",model="one",replica="0"} 1.0' in lines


def test_a_family_of_another_type_is_left_out() -> None:
    lines = rendered(Page(ONE, "# TYPE own_total counter\nown_total 7\n# TYPE d gauge\nd 1\n"))
    assert not [line for line in lines if line.startswith("own_total")]
    assert 'd{model="one",replica="0"} 1.0' in lines


def test_what_is_no_page_is_left_out_and_counted() -> None:
    lines = rendered(Page(ONE, None), Page(TWO, "{nonsense"))
    assert 'enginehouse_worker_up{model="one",replica="0"} 0.0' in lines
    assert 'enginehouse_worker_up{model="two",replica="1"} 0.0' in lines


async def _serve(path: Path, answer: bytes) -> asyncio.Server:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer:
            writer.write(answer)
            writer.close()

    return await asyncio.start_unix_server(one, path)


async def test_workers_are_read_at_once_and_none_is_waited_for_long(tmp_path: Path) -> None:
    good = b"HTTP/1.0 200 OK\r\n\r\n" + PAGE.encode()
    answers = {"good": good, "silent": b"", "refusing": b"HTTP/1.0 404 No\r\n\r\n", "mad": b"\xff\xfe"}
    servers = [await _serve(tmp_path / name, answer) for name, answer in answers.items()]
    sources = [Source(name, "0", str(tmp_path / name)) for name in ("good", *["silent"] * 6, "refusing", "mad", "no")]
    began = time.monotonic()
    pages = await read_pages(sources)
    assert time.monotonic() - began < 5 * worker_metrics.SCRAPE_SECONDS
    assert [page.text for page in pages] == [PAGE, *[None] * 9]
    for server in servers:
        server.close()
