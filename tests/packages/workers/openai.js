import OpenAI from "openai";

const fetch = async (url, { body }) => Response.json({ choices: [{ message: { content: `${url} ${JSON.parse(body).model}` } }] });
const client = new OpenAI({ apiKey: "key", fetch, dangerouslyAllowBrowser: true });
export default {
  async fetch() {
    const messages = [{ role: "user", content: "hello" }];
    const answer = await client.chat.completions.create({ model: "m", messages });
    return Response.json(answer.choices[0].message.content);
  },
};
