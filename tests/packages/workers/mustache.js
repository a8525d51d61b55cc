import Mustache from "mustache";

export default { fetch: () => new Response(Mustache.render("{{#a}}<{{b}}>{{/a}}{{{c}}}", { a: [{ b: "&" }, { b: 2 }], c: "<i>" })) };
