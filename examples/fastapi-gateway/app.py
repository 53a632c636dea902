"""A small LLM gateway: OpenAI chat in, OpenAI chat out, one line in its log and one row in its table for each request.

It is written the way such gateways are written, and it has the bug that tokenweir was made for: a streamed request is logged after the
`async for … yield` loop, in code that never runs. Plain requests are logged well, so nobody notices until the bill comes.

    UPSTREAM_URL=http://127.0.0.1:8000 GATEWAY_DB=gateway.db uvicorn app:app --port 8100
"""

import json
import logging
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask

UPSTREAM_URL = os.environ.get("UPSTREAM_URL", "https://api.openai.com").rstrip("/")
GATEWAY_DB = os.environ.get("GATEWAY_DB", "gateway.db")
# What a provider must know of the caller; `traceparent` keeps both in one trace.
FORWARDED = ("authorization", "content-type", "traceparent", "tracestate")

log = logging.getLogger("gateway")
log.setLevel(logging.INFO)
log.addHandler(logging.StreamHandler(sys.stdout))


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.table = sqlite3.connect(GATEWAY_DB, isolation_level=None)
    app.state.table.execute(
        "CREATE TABLE IF NOT EXISTS requests (id INTEGER PRIMARY KEY, started REAL, model TEXT, streamed INTEGER, status TEXT, "
        "input_tokens INTEGER NOT NULL DEFAULT 0, output_tokens INTEGER NOT NULL DEFAULT 0)"
    )
    async with httpx.AsyncClient(base_url=UPSTREAM_URL, timeout=600) as client:
        app.state.client = client
        yield
    app.state.table.close()


app = FastAPI(lifespan=lifespan)


def begin(model: str, streamed: bool) -> int:
    """One row when a request starts. Its tokens are not known yet."""
    row = app.state.table.execute(
        "INSERT INTO requests (started, model, streamed, status) VALUES (?, ?, ?, 'started')", (time.time(), model, streamed)
    )
    return row.lastrowid


def finish(row: int, status: str, usage: dict) -> None:
    tokens = (usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0))
    app.state.table.execute("UPDATE requests SET status = ?, input_tokens = ?, output_tokens = ? WHERE id = ?", (status, *tokens, row))


@app.get("/health")
async def health() -> dict:
    return {"status": "ok"}


@app.post("/v1/chat/completions")
async def chat(request: Request) -> Response:
    body = await request.json()
    streamed = body.get("stream") is True
    row = begin(str(body.get("model")), streamed)
    headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
    asked = app.state.client.build_request("POST", "/v1/chat/completions", content=await request.body(), headers=headers)
    upstream = await app.state.client.send(asked, stream=True)
    if streamed and upstream.status_code == 200:
        events = until_done(relay(upstream, row))
        return StreamingResponse(events, media_type="text/event-stream", background=BackgroundTask(upstream.aclose))

    content = await upstream.aread()
    await upstream.aclose()
    answer = json.loads(content)
    usage = answer.get("usage") or {}
    finish(row, "completed" if upstream.status_code == 200 else "failed", usage)
    log.info("Request logged: row %d, %d tokens", row, usage.get("total_tokens", 0))
    return Response(content, upstream.status_code, media_type=upstream.headers.get("content-type"))


async def relay(upstream: httpx.Response, row: int) -> AsyncIterator[str]:
    """The upstream's events as they come. The last one but `[DONE]` says what the answer used, where the client asked for that."""
    usage: dict = {}
    async for line in upstream.aiter_lines():
        if line.startswith("data: {"):
            usage = json.loads(line.removeprefix("data: ")).get("usage") or usage
        yield line + "\n"

    # THE BUG. Whoever iterates stops at `[DONE]`, or is cancelled with its client: the generator is then closed at its `yield`, and what
    # stands here never runs. (A `finally` would run, but in the middle of the cancellation: its first `await` is cancelled as well.)
    finish(row, "completed", usage)
    log.info("Streaming request logged: row %d, %d tokens", row, usage.get("total_tokens", 0))


async def until_done(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """An OpenAI stream is over at `[DONE]`: the client shall not wait until the upstream closes its connection too."""
    async for line in lines:
        yield line
        if line.startswith("data: [DONE]"):
            yield "\n"
            return
