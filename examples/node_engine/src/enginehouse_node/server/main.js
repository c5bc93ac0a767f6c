// A worker in JavaScript: node main.js SOCKET MODEL CONTEXT. Says what it was told; a word is a token.
"use strict";
const http = require("node:http");
const { randomUUID } = require("node:crypto");
const { read } = require("./requests.js");

const [socket, model, context] = [process.argv[2], process.argv[3], Number(process.argv[4])];
let inFlight = 0;
let state = "ready";

function answer(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function refuse(response, error) {
  const status = error.status || 500;
  const inner = { message: error.message, type: "invalid_request_error", param: error.param || null, code: error.code || "engine_failed" };
  answer(response, status, { error: inner, detail: error.message });
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

// What is said to one prompt: pieces of text, whether it was cut, and how many tokens were read and said.
function speak(asked, prompt) {
  let words = prompt.split("\n").pop().match(/\s*\S+/g) || [];
  const cut = asked.most !== null && words.length > asked.most;
  if (cut) words = words.slice(0, asked.most);
  const said = { pieces: words, reason: cut ? "length" : "stop", read: prompt.split(/\s+/).filter(Boolean).length, tokens: words.length };
  const whole = words.join("");
  const ends = asked.stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
  if (ends.length) {
    const kept = whole.slice(0, Math.min(...ends));
    said.pieces = kept.match(/\s*\S+|\s+$/g) || [];
    said.reason = "stop";
  }
  return said;
}

function heading(asked, chunk) {
  const kind = asked.chat ? (chunk ? "chat.completion.chunk" : "chat.completion") : "text_completion";
  return { id: `${asked.chat ? "chatcmpl" : "cmpl"}-${randomUUID()}`, object: kind, created: Math.floor(Date.now() / 1000), model };
}

function choiceOf(asked, index, text, reason, chunk) {
  const said = asked.chat
    ? chunk ? { delta: { role: "assistant", content: text } } : { message: { role: "assistant", content: text } }
    : { text };
  return { index, ...said, logprobs: null, finish_reason: reason };
}

function usageOf(asked, answers) {
  const read = answers.filter((_, at) => at % asked.n === 0).reduce((sum, one) => sum + one.read, 0);
  const said = answers.reduce((sum, one) => sum + one.tokens, 0);
  return { prompt_tokens: read, completion_tokens: said, total_tokens: read + said };
}

async function stream(response, asked, answers) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const head = heading(asked, true);
  const send = (body) => response.write(`data: ${JSON.stringify({ ...head, ...body })}\n\n`);
  for (const [index, one] of answers.entries()) {
    for (const piece of one.pieces) {
      if (response.destroyed) return; // the caller is gone
      send({ choices: [choiceOf(asked, index, piece, null, true)] });
      await new Promise(setImmediate);
    }
    send({ choices: [choiceOf(asked, index, "", one.reason, true)] });
  }
  if (asked.includeUsage) send({ choices: [], usage: usageOf(asked, answers) });
  response.end(asked.chat ? "data: [DONE]\n\n" : "");
}

async function generate(request, response, chat) {
  const asked = read(await bodyOf(request), chat, context);
  const answers = asked.prompts.flatMap((prompt) => Array.from({ length: asked.n }, () => speak(asked, prompt)));
  if (asked.stream) return stream(response, asked, answers);
  const choices = answers.map((one, index) => choiceOf(asked, index, one.pieces.join(""), one.reason, false));
  answer(response, 200, { ...heading(asked, false), choices, usage: usageOf(asked, answers) });
}

async function route(request, response) {
  const place = `${request.method} ${request.url}`;
  if (place === "GET /health") return answer(response, 200, { state, progress: 1, stage: state, in_flight: inFlight, context_length: context });
  if (place === "GET /v1/models") return answer(response, 200, { object: "list", data: [{ id: model, object: "model" }] });
  if (place !== "POST /v1/completions" && place !== "POST /v1/chat/completions") {
    throw Object.assign(new Error(`There is no ${place} here.`), { status: 404, code: "not_found" });
  }
  inFlight += 1;
  response.on("close", () => { inFlight -= 1; });
  await generate(request, response, place.endsWith("/chat/completions"));
}

const server = http.createServer((request, response) => {
  route(request, response).catch((error) => { if (!response.headersSent) refuse(response, error); else response.destroy(); });
});
server.keepAliveTimeout = 3600 * 1000; // the gateway decides when to close
server.listen(socket);

// Drains: nothing new, and what runs may end.
function leave() {
  state = "draining";
  server.close(() => process.exit(0));
  server.closeIdleConnections();
}
process.on("SIGTERM", leave);
process.stdin.on("end", leave).resume(); // the keeper has died
