import { marked } from "marked";

export default { fetch: () => new Response(marked.parse("# A *b*\n\n- c\n- `d`\n\n| e | f |\n|---|--:|\n| 1 | 2 |")) };
