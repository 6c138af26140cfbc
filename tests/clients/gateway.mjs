// The Vercel AI SDK through the gateway: text, a stream with a tool and its answer, and an object. Prints what came, as JSON.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const gateway = createOpenAICompatible({
  name: "datastead",
  baseURL: process.env.GATEWAY_URL,
  apiKey: process.env.GATEWAY_TOKEN,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = gateway(process.env.GATEWAY_MODEL);

const whole = await generateText({ model, prompt: "Say hello.", maxOutputTokens: 200 });

const weather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `${city}: 21 degrees`,
});
const stream = streamText({
  model,
  prompt: "How warm is it? Use the tool.",
  tools: { weather },
  stopWhen: stepCountIs(3),
  maxOutputTokens: 400,
  maxRetries: 0,
});
let streamed = "";
for await (const piece of stream.textStream) streamed += piece;

const { object } = await generateObject({
  model,
  prompt: "Which city?",
  schema: z.object({ name: z.string(), inhabitants: z.number().int() }),
  maxOutputTokens: 400,
});

let refused;
try {
  await generateText({ model: gateway("no-such-model-at-all"), prompt: "Hi", maxRetries: 0 });
} catch (error) {
  refused = { status: error.statusCode, message: error.message };
}

console.log(
  JSON.stringify({
    text: whole.text,
    usage: whole.usage,
    streamed,
    steps: (await stream.steps).length,
    total: await stream.totalUsage,
    object,
    refused,
  }),
);
