// Answers one call a line on standard input with one line on standard output, both JSON; bodies are in base64.
import { createInterface } from "node:readline";

import { judges } from "./judges.mjs";

const answer = async ({ judge, act, body, ...call }) => {
  const bytes = Buffer.from(body, "base64");
  const text = bytes.toString("utf8");
  const form = call.is_form ? [...new URLSearchParams(text)] : [];
  return { answer: await judges[judge][act]({ ...call, body: bytes, text, form }) };
};

const acts = Object.fromEntries(Object.entries(judges).map(([name, judge]) => [name, Object.keys(judge)]));
process.stdout.write(`${JSON.stringify({ answer: acts })}\n`);
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const result = await answer(JSON.parse(line)).catch((error) => ({ error: `${error.name}: ${error.message}` }));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
