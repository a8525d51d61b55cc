import { h } from "preact";
import { useState } from "preact/hooks";
import render from "preact-render-to-string";

const Counter = ({ start }) => h("b", { class: "n" }, useState(start)[0]);
export default { fetch: () => new Response(render(h("main", null, h(Counter, { start: 3 }), "<"))) };
