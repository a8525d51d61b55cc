// Uses the shop in Chromium: node browser.mjs URL CHROMIUM

import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const [url, executablePath] = process.argv.slice(2);
const picture = join(tmpdir(), `shop-${process.pid}.svg`);
writeFileSync(picture, `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="32"><rect width="64" height="32" fill="gold"/></svg>`);

// Without a sandbox of its own, which root does not get.
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
try {
  const log = [];
  const visit = async (name) => {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    page.on("pageerror", (error) => log.push(`${name}: ${error}`));
    await page.goto(url);
    await page.type("#login input", name);
    await page.click("#login button");
    await page.waitForSelector("#products li:nth-child(3)");
    return page;
  };
  const text = (page, selector, wanted) =>
    page.waitForFunction((s, w) => document.querySelector(s)?.textContent.includes(w), { timeout: 30_000 }, selector, wanted);

  const ada = await visit("Ada");
  await (await ada.$("#products li input")).uploadFile(picture);
  await ada.waitForFunction(() => {
    const image = document.querySelector("#products li img");
    return !image.hidden && image.complete && image.naturalWidth === 64;
  });
  await ada.click("#products li:nth-child(2) button");
  await text(ada, "#orders li", "67.50 €");
  await text(ada, "#orders li", "receipt");

  const grace = await visit("Grace");
  await ada.type("#chat input", "Is the rope any good?");
  await ada.click("#chat button");
  await text(grace, "#messages", "Ada: Is the rope any good?");
  await grace.type("#chat input", "It holds.");
  await grace.click("#chat button");
  await text(ada, "#messages", "Grace: It holds.");
  // What was said before is there for those who come later.
  await text(await visit("Mary"), "#messages", "Grace: It holds.");
  if (log.length > 0) throw new Error(log.join("\n"));
} finally {
  await browser.close();
}
console.log("the browser is content");
