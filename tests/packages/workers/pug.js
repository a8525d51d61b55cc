import pug from "pug";

const page = pug.compile("ul\n  each name in names\n    li(class=name)= name");
export default { fetch: () => new Response(page({ names: ["a", "<b>"] })) };
