import { compile } from "svelte/compiler";
import { render } from "svelte/server";
import * as internal from "svelte/internal/server";

const { js } = compile("<script>let { name } = $props();</script><h1>Hello {name}!</h1>{#each [1, 2] as n}<i>{n}</i>{/each}", {
  generate: "server",
});
const code = js.code.replace(/^import .*$/gm, "").replace("export default function", "return function");
const Page = new Function("$", code)(internal);
export default { fetch: () => new Response(render(Page, { props: { name: "<world>" } }).body) };
