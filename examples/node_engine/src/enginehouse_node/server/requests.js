// Bodies of requests, checked: what is wrong is told with the field's name.
"use strict";

const NUMBERS = { max_tokens: [1, Infinity], max_completion_tokens: [1, Infinity], temperature: [0, 2], top_p: [0, 1], n: [1, 128], presence_penalty: [-2, 2], frequency_penalty: [-2, 2] };
const ROLES = ["system", "developer", "user", "assistant", "tool", "function"];
const REFUSED = ["tools", "response_format", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "lora_name", "echo", "logprobs", "logit_bias", "ignore_eos"];

function bad(message, param, code = "invalid_request") {
  return Object.assign(new Error(message), { status: 400, param, code });
}

function parse(text) {
  let body;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw bad(`The body is malformed JSON: ${error.message}.`, null);
  }
  if (body === null || typeof body !== "object" || Array.isArray(body)) throw bad("The body must be a JSON object.", null);
  return body;
}

function check(body) {
  for (const [name, [least, most]] of Object.entries(NUMBERS)) {
    const value = body[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== "number" || value < least || value > most) throw bad(`The field '${name}' is wrong: ${JSON.stringify(value)}.`, name);
  }
  for (const name of REFUSED) {
    if (body[name]) throw bad(`This engine does not honour '${name}'; leave it out.`, name, "not_supported");
  }
}

function textOf(message, index) {
  const place = `messages[${index}]`;
  if (!message || !ROLES.includes(message.role)) throw bad(`${place} has no role that is known.`, `${place}.role`);
  if (Array.isArray(message.content)) {
    if (message.content.some((part) => part.type !== "text")) throw bad(`${place} holds more than text.`, place, "not_supported");
    return message.content.map((part) => part.text).join("\n");
  }
  if (typeof message.content !== "string" && ["system", "user"].includes(message.role)) throw bad(`${place} has no content.`, `${place}.content`);
  return message.content || "";
}

function promptsOf(body, chat) {
  if (chat) {
    if (!Array.isArray(body.messages) || !body.messages.length) throw bad("`messages` is empty; give at least one.", "messages");
    return [body.messages.map(textOf).join("\n")];
  }
  const prompts = Array.isArray(body.prompt) ? body.prompt : [body.prompt];
  if (!prompts.length || prompts.some((prompt) => typeof prompt !== "string")) throw bad("`prompt` must be a text, or texts.", "prompt");
  return prompts;
}

function stopsOf(body) {
  const stops = body.stop === undefined || body.stop === null ? [] : [].concat(body.stop);
  if (stops.some((stop) => typeof stop !== "string" || !stop)) throw bad("`stop` may hold texts that are not empty.", "stop");
  return stops;
}

function read(text, chat, context) {
  const body = parse(text);
  check(body);
  const prompts = promptsOf(body, chat);
  const most = (chat && body.max_completion_tokens) || body.max_tokens || null;
  if (most > context) throw bad(`max_tokens is ${most}, the context holds ${context}.`, "max_tokens");
  for (const prompt of prompts) {
    if (prompt.split(/\s+/).length >= context) throw bad(`The prompt is longer than the context of ${context} tokens.`, null, "context_length_exceeded");
  }
  const includeUsage = Boolean(body.stream_options && body.stream_options.include_usage);
  return { chat, prompts, most, stops: stopsOf(body), n: body.n || 1, stream: Boolean(body.stream), includeUsage };
}

module.exports = { read };
