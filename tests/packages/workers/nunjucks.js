import nunjucks from "nunjucks";

export default { fetch: () => new Response(nunjucks.renderString("{% for n in list %}{{ n | upper }},{% endfor %}", { list: ["a", "<b>"] })) };
