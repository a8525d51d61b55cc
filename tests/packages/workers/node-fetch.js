// `node-fetch`, `follow-redirects` and `needle`, clients over `node:http`.

import followRedirects from "follow-redirects";
import needle from "needle";
import nodeFetch from "node-fetch";

const origin = process.env.ORIGIN_URL;
// What the libraries say of themselves is left out.
const seen = ({ method, url, body, headers }) => [method, url, body, headers["content-type"], headers["x-mine"]];

const followed = () =>
  new Promise((resolve, reject) => {
    const request = followRedirects.http.get(`${origin}/redirect`, async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      resolve([response.responseUrl === `${origin}/echo?redirected`, seen(JSON.parse(text))]);
    });
    request.on("error", reject);
  });

export default {
  async fetch() {
    return Response.json({
      post: seen(await (await nodeFetch(`${origin}/echo`, { method: "POST", body: "text", headers: { "x-mine": "1" } })).json()),
      gzip: await (await nodeFetch(`${origin}/gzip`)).text(),
      redirect: seen(await (await nodeFetch(`${origin}/redirect`)).json()),
      missing: (await nodeFetch(`${origin}/missing`)).status,
      large: (await (await nodeFetch(`${origin}/large`)).arrayBuffer()).byteLength,
      refused: await nodeFetch("http://127.0.0.1:3/").catch(({ type, code }) => [type, code]),
      followed: await followed(),
      needle: seen((await needle("put", `${origin}/echo`, { a: [1] }, { json: true })).body),
      needleGzip: (await needle("get", `${origin}/gzip`, { compressed: true })).body.toString(),
      needleTimeout: await needle("get", `${origin}/silent`, { response_timeout: 20 }).catch(({ code }) => code),
    });
  },
};
