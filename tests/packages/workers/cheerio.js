import * as cheerio from "cheerio";

const $ = cheerio.load("<ul><li class=a>One</li><li>Two</li></ul>");
$("li:last-child").addClass("b").text("Zwei");
export default { fetch: () => new Response($("ul").html()) };
