import { createContext, createElement as h, Suspense, use, useContext } from "react";
import { renderToReadableStream, renderToString } from "react-dom/server";

const Theme = createContext("light");
const Title = ({ children }) => h("h1", { className: useContext(Theme) }, children);
const later = () => new Promise((resolve) => setTimeout(resolve, 5, "later"));
const Later = ({ value }) => h("p", null, use(value));

export default {
  async fetch() {
    const text = renderToString(h(Theme, { value: "dark" }, h(Title, null, "A & B")));
    const stream = await renderToReadableStream(h(Suspense, { fallback: "…" }, h(Later, { value: later() })));
    await stream.allReady;
    return new Response(text + (await new Response(stream).text()));
  },
};
