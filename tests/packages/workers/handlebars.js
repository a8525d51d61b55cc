import Handlebars from "handlebars";

Handlebars.registerHelper("loud", (text) => text.toUpperCase());
const page = Handlebars.compile("{{#each list}}<li>{{loud name}}</li>{{else}}none{{/each}}");
export default { fetch: () => new Response(page({ list: [{ name: "a" }, { name: "<b>" }] })) };
