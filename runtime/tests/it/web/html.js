// Checks of HTMLRewriter. https://developers.cloudflare.com/workers/runtime-apis/html-rewriter/

const html = (body, type = "text/html") => new Response(body, { headers: { "content-type": type } });
const rewrite = (rewriter, body) => rewriter.transform(html(body)).text();
const on = (selector, handlers, body) => rewrite(new HTMLRewriter().on(selector, handlers), body);
const element = (act, body = "<p>a</p>", selector = "p") => on(selector, { element: act }, body);
const rejection = (promise) => promise.then(() => "resolved", (error) => error);

export const members = () =>
  checks({
    "before, after, prepend, append": async () =>
      await element((e) => e.before("1<").after("2>", { html: true }).prepend("<i>", { html: true }).append("&", { html: false })) ===
        "1&lt;<p><i>a&amp;</p>2>",
    "the order of insertions": async () =>
      await element((e) => (e.before("1").before("2"), e.after("1").after("2"), e.append("1").append("2"), e.prepend("1").prepend("2"))) ===
        "12<p>21a12</p>21",
    "replace": async () => await element((e) => e.replace("<b>b</b>", { html: true }), "<p>a<i>c</i></p>d") === "<b>b</b>d",
    "setInnerContent": async () => await element((e) => e.setInnerContent("<b>")) === "<p>&lt;b&gt;</p>",
    "remove": async () => {
      let removed;
      return await element((e) => { e.remove(); removed = e.removed; }) === "" && removed === true;
    },
    "removeAndKeepContent": async () => await element((e) => e.removeAndKeepContent(), "<p>a<b>c</b></p>") === "a<b>c</b>",
    "attributes": async () => {
      let seen;
      const body = await element((e) => {
        e.setAttribute("B", 'x"y').removeAttribute("gone");
        seen = [[...e.attributes], e.getAttribute("a"), e.getAttribute("none"), e.hasAttribute("b"), e.hasAttribute("gone")];
      }, "<p A=1 gone>");
      return JSON.stringify(seen) === '[[["a","1"],["b","x\\"y"]],"1",null,true,false]' && body === '<p A=1 b="x&quot;y">' || [seen, body];
    },
    "names": async () => {
      let seen;
      const body = await on("svg, P", {
        element(e) {
          seen = [e.tagName, e.namespaceURI];
          if (e.tagName === "p") e.tagName = "div";
        },
      }, "<p>a</p><svg></svg>");
      return body === "<div>a</div><svg></svg>" && `${seen}` === "svg,http://www.w3.org/2000/svg" || [body, seen];
    },
    "what a token cannot be": async () => {
      const errors = [];
      await element((e) => {
        for (const act of [() => e.setAttribute("a b", ""), () => e.tagName = "1", () => e.setAttribute(Symbol(), ""), () => e.before({}),
          () => e.before(new Response("")), () => e.onEndTag(1)]) errors.push(thrown(act)?.name);
      });
      await on("p", { comments: (c) => errors.push(thrown(() => c.text = "-->")?.name) }, "<p><!--a--></p>");
      return errors.every((name) => name === "TypeError") && errors.length === 7 || errors;
    },
    "comments": async () => {
      const seen = [];
      const body = await on("p", {
        comments(c) {
          seen.push(c.text, c.removed);
          if (c.text === "a") c.text = "A";
          else if (c.text === "b") c.before("1").after("2").replace("<br>", { html: true });
          else c.remove();
        },
      }, "<p><!--a--><!--b--><!--c--></p><!--d-->");
      return body === "<p><!--A-->1<br>2</p><!--d-->" && `${seen}` === "a,false,b,false,c,false" || [body, seen];
    },
    "text": async () => {
      let text = "";
      const lasts = [];
      const body = await on("p", {
        text(t) {
          text += t.text;
          lasts.push(t.lastInTextNode);
          if (t.text === "b") t.replace("<i>");
          if (t.lastInTextNode) t.after("!");
        },
      }, "<p>a&amp;</p><p>b</p>");
      return text === "a&amp;b" && lasts.at(-1) === true && body === "<p>a&amp;!</p><p>&lt;i&gt;!</p>" || [text, lasts, body];
    },
    "the document": async () => {
      const seen = [];
      const body = await rewrite(
        new HTMLRewriter().onDocument({
          doctype: (d) => seen.push(d.name, d.publicId, d.systemId),
          comments: (c) => seen.push(c.text),
          text: (t) => t.text !== "" && seen.push(t.text),
          end: (e) => e.append("<end>").append("<b>", { html: true }),
        }),
        '<!doctype html PUBLIC "-//W3C//DTD" "x.dtd"><!--c-->t',
      );
      return `${seen}` === "html,-//W3C//DTD,x.dtd,c,t" && body.endsWith("t&lt;end&gt;<b>") || [seen, body];
    },
    "end tags": async () => {
      const seen = [];
      const body = await on("div, p", {
        element(e) {
          let text = e.tagName;
          e.append("[append]").after("[after]");
          e.onEndTag(async (end) => {
            await soon();
            seen.push(end.name, text);
            end.before("1<").before("2").after("3").after("4", { html: true });
            if (end.name === "p") end.name = "b";
          });
          e.onEndTag((end) => end.before("last"));
        },
      }, "<div>a<p>c</P ></div >d");
      return body === "<div>a<p>c[append]1&lt;2last</b>43[after][append]1&lt;2last</div >43[after]d" &&
        `${seen}` === "p,p,div,div" || [body, seen];
    },
    "removed end tags": async () =>
      await element((e) => e.onEndTag((end) => end.remove())) === "<p>a" &&
      await element((e) => { e.removeAndKeepContent(); e.onEndTag((end) => end.name = "b"); }) === "a",
    "an element without an end tag": async () => {
      let error;
      const body = await element((e) => error = thrown(() => e.onEndTag(() => {})), "<br>", "br");
      return body === "<br>" && error instanceof TypeError;
    },
    "selectors": async () => {
      const seen = [];
      const add = (name) => ({ element: (e) => { seen.push(name + e.getAttribute("n")); } });
      const rewriter = new HTMLRewriter();
      for (const selector of ["a", "#i", ".c", "[n='2']", "div > a", "div a:not(.c)", "a:nth-child(2)", "*"]) {
        rewriter.on(selector, add(`${selector} `));
      }
      await rewrite(rewriter, "<div n=0><a n=1 class='x c'></a><a n=2 id=i></a></div>");
      return `${seen}` === "* 0,a 1,.c 1,div > a 1,* 1,a 2,#i 2,[n='2'] 2,div > a 2,div a:not(.c) 2,a:nth-child(2) 2,* 2" || seen;
    },
    "an invalid selector": () => {
      const nested = ":not(".repeat(20_000);
      return ["", "p:hover", "p +", "a".repeat(5000), nested, "[".repeat(4000), "p,".repeat(2000) + "p"]
        .every((selector) => thrown(() => new HTMLRewriter().on(selector, {})) instanceof TypeError);
    },
    "handlers that are none": () =>
      thrown(() => new HTMLRewriter().on("p", null)) instanceof TypeError &&
      thrown(() => new HTMLRewriter().on("p", { element: 1 })) instanceof TypeError &&
      thrown(() => new HTMLRewriter().transform({})) instanceof TypeError,
    "this": async () => {
      class Counter {
        count = 0;
        element() {
          this.count++;
        }
      }
      const counter = new Counter();
      await on("p", counter, "<p><p>");
      return counter.count === 2;
    },
  });

export const streaming = () =>
  checks({
    "asynchronous handlers, in order": async () => {
      const seen = [];
      const handlers = {
        async element(e) {
          seen.push("begin");
          await soon();
          e.setAttribute("n", seen.length);
          seen.push("end");
        },
      };
      return await on("p", handlers, "<p></p><p></p>") === '<p n="1"></p><p n="3"></p>' && `${seen}` === "begin,end,begin,end" || seen;
    },
    "the head of the response": async () => {
      const response = new Response("<p>", { status: 201, statusText: "S", headers: { "content-type": "text/html", "content-length": 3, a: "b" } });
      const { status, statusText, headers } = new HTMLRewriter().transform(response);
      return `${[status, statusText, headers.get("a"), headers.get("content-length")]}` === "201,S,b,";
    },
    "a response without a body": () => {
      const response = new Response(null);
      return new HTMLRewriter().transform(response) === response;
    },
    "a body that was used": async () => {
      const response = html("a");
      await response.text();
      return thrown(() => new HTMLRewriter().transform(response)) instanceof TypeError;
    },
    "pieces of the input": async () => {
      const bytes = new TextEncoder().encode("<p class='ä'>€<!--c--></p>".repeat(3));
      let at = 0;
      const body = new ReadableStream({ pull: (c) => at < bytes.length ? c.enqueue(bytes.subarray(at, ++at)) : c.close() });
      const texts = [];
      const rewriter = new HTMLRewriter().on("p.ä", { element: (e) => { e.append("é"); }, text: (t) => { texts.push(t.text); } });
      const text = await rewriter.transform(html(body)).text();
      return text === "<p class='ä'>€<!--c-->é</p>".repeat(3) && texts.join("") === "€€€" || [text, texts];
    },
    "another encoding": async () => {
      const body = new Uint8Array([..."<p>"].map((c) => c.charCodeAt(0)).concat(0xe9, ..."</p>".split("").map((c) => c.charCodeAt(0))));
      let seen = "";
      const rewriter = new HTMLRewriter().on("p", {
        text: (t) => { seen += t.text; },
        element: (e) => { e.append("ü"); e.onEndTag((end) => { end.before("ö").after("ä"); }); },
      });
      const bytes = new Uint8Array(await rewriter.transform(html(body, 'text/html; charset="windows-1252"')).arrayBuffer());
      return seen === "é" && String.fromCharCode(...bytes) === "<p>éüö</p>ä" || [seen, String.fromCharCode(...bytes)];
    },
    "an encoding without ASCII": () => thrown(() => new HTMLRewriter().transform(html("a", "text/html;charset=utf-16le"))) instanceof TypeError,
    "output before the end of the input": async () => {
      let controller;
      const body = new ReadableStream({ start: (c) => controller = c });
      const reader = new HTMLRewriter().transform(html(body)).body.getReader();
      controller.enqueue(new TextEncoder().encode("<p>a"));
      const first = await reader.read();
      controller.close();
      return new TextDecoder().decode(first.value).startsWith("<p>") && !first.done;
    },
    "nothing is read ahead of the reader": async () => {
      let pulls = 0;
      const body = new ReadableStream({ pull: (c) => { pulls++; c.enqueue(new Uint8Array(10).fill(97)); } }, { highWaterMark: 0 });
      const reader = new HTMLRewriter().transform(html(body)).body.getReader();
      await soon();
      const before = pulls;
      await reader.read();
      return before === 0 && pulls <= 2;
    },
    "rewriters one after the other": async () => {
      const add = (name) => new HTMLRewriter().on("p", { element: (e) => { e.append(name); } });
      return await add("2").transform(add("1").transform(html("<p></p>"))).text() === "<p>12</p>";
    },
    "rewriters at the same time": async () => {
      const one = (name) => on("p", { async element(e) { await soon(); e.append(name); e.onEndTag(async (end) => { await soon(); end.after(name); }); } },
        "<p></p>".repeat(5));
      const all = await Promise.all([..."abcdefgh"].map(one));
      return all.every((text, i) => text === `<p>${"abcdefgh"[i]}</p>${"abcdefgh"[i]}`.repeat(5)) || all;
    },
    "the input is canceled by its reader": async () => {
      let reason;
      const body = new ReadableStream({ pull: (c) => c.enqueue(new TextEncoder().encode("<p>")), cancel: (r) => reason = r });
      const reader = new HTMLRewriter().on("p", { element() {} }).transform(html(body)).body.getReader();
      await reader.read();
      await reader.cancel("left");
      return reason === "left";
    },
    "an error of a handler is that of the body": async () => {
      let reason;
      const error = new RangeError("mine");
      const body = () => new ReadableStream({ pull: (c) => c.enqueue(new TextEncoder().encode("<p><!--c-->t</p>")), cancel: (r) => reason = r });
      const failing = [
        { element() { throw error; } },
        { async comments() { await soon(); throw error; } },
        { text: () => Promise.reject(error) },
        { element: (e) => e.onEndTag(async () => { throw error; }) },
      ];
      for (const handlers of failing) {
        reason = undefined;
        const got = await rejection(new HTMLRewriter().on("p", handlers).transform(html(body())).text());
        if (got !== error || reason !== error) return [String(handlers), String(got), String(reason)];
      }
      return await rejection(rewrite(new HTMLRewriter().onDocument({ end() { throw error; } }), "a")) === error;
    },
    "an error of the input is that of the body": async () => {
      const error = new RangeError("theirs");
      const body = new ReadableStream({ pull: (c) => c.error(error) });
      return await rejection(new HTMLRewriter().transform(html(body)).text()) === error;
    },
    "a chunk that is no bytes": async () => {
      const body = new ReadableStream({ start: (c) => c.enqueue("text") });
      return await rejection(new HTMLRewriter().transform(html(body)).text()) instanceof TypeError;
    },
  });

export const hostile = () =>
  checks({
    "a token after its handler": async () => {
      const kept = [];
      const body = await rewrite(
        new HTMLRewriter().on("p", { element: (e) => { kept.push(e); e.onEndTag((end) => { kept.push(end); }); }, text: (t) => { kept.push(t); }, comments: (c) => { kept.push(c); } })
          .onDocument({ doctype: (d) => { kept.push(d); }, end: (e) => { kept.push(e); } }),
        "<!doctype html><p>t<!--c--></p>",
      );
      const acts = [(t) => t.before("x"), (t) => t.remove(), (t) => t.append("x"), (t) => t.name, (t) => t.text, (t) => t.tagName, (t) => [...t.attributes], (t) => t.onEndTag(() => {})];
      return body === "<!doctype html><p>t<!--c--></p>" && kept.length >= 6 &&
        kept.every((token) => acts.every((act) => { const error = thrown(() => act(token)); return error === undefined || error instanceof TypeError; }) &&
          acts.some((act) => thrown(() => act(token)) !== undefined)) || kept.length;
    },
    "a token of one handler in the next": async () => {
      let first;
      const errors = [];
      await on("p", { element(e) { if (first === undefined) first = e; else errors.push(thrown(() => first.setAttribute("a", "b"))?.name); } }, "<p></p><p></p>");
      return `${errors}` === "TypeError";
    },
    "methods of other tokens": async () => {
      const errors = [];
      let before;
      await on("p", { element: (e) => { before = e.before; }, text: (t) => { errors.push(thrown(() => before.call({}, "x"))?.name, thrown(() => Object.getPrototypeOf(t).constructor())?.name, thrown(() => new t.constructor())?.name); } }, "<p>t</p>");
      return errors.length > 0 && errors.every((name) => name === "TypeError") || errors;
    },
    "a handler that never settles": async () => {
      const response = new HTMLRewriter().on("p", { element: () => new Promise(() => {}) }).transform(html("<p>a</p>"));
      const reader = response.body.getReader();
      const reading = reader.read();
      await soon();
      await reader.cancel();
      return (await reading).done === true;
    },
    "reading within a handler": async () => {
      const response = new HTMLRewriter().on("p", { async element(e) { e.append(await on("b", { element: (b) => { b.append("in"); } }, "<b></b>"), { html: true }); } })
        .transform(html("<p></p>"));
      return await response.text() === "<p><b>in</b></p>";
    },
  });

export const endless = () =>
  checks({
    "a tag of any length": async () => {
      const body = new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(1 << 16).fill(97)), start: (c) => c.enqueue(new TextEncoder().encode("<p a=")) });
      const error = await rejection(new HTMLRewriter().on("p", { element() {} }).transform(html(body)).text());
      return error instanceof TypeError && error.message.includes("larger than 1048576 bytes") || String(error);
    },
    "elements of any depth": async () => {
      const body = new ReadableStream({ pull: (c) => c.enqueue(new TextEncoder().encode("<a>".repeat(10_000))) });
      const error = await rejection(new HTMLRewriter().on("b", { element() {} }).transform(html(body)).text());
      return error instanceof TypeError && error.message.includes("larger than") || String(error);
    },
    "content without end": async () => {
      const text = "x".repeat(1 << 20);
      const error = await rejection(element((e) => { for (;;) e.before(text); }));
      const later = await rejection(element((e) => { for (;;) e.append(text); }));
      const attributes = await rejection(element((e) => { for (let i = 0;; i++) e.setAttribute(`a${i}`, text); }));
      const end = await rejection(element((e) => { e.onEndTag((tag) => { for (;;) tag.before(text); }); }));
      return [error, later, attributes, end].every((error) => error.name === "QuotaExceededError" || error instanceof RangeError) ||
        [error, later, attributes, end].map(String);
    },
  });

export const many = () =>
  checks({
    "rewriters without end": async () => {
      const kept = [];
      const error = thrown(() => { for (;;) kept.push(new HTMLRewriter().transform(html("<p>"))); });
      const count = kept.length;
      await Promise.all(kept.splice(0).map((response) => response.body.cancel()));
      return error.name === "QuotaExceededError" && count >= 32 && await element((e) => { e.append("b"); }) === "<p>ab</p>" || [String(error), count];
    },
    "handlers without end": () => {
      const rewriter = new HTMLRewriter();
      const error = thrown(() => { for (;;) rewriter.on("p", {}); });
      return error instanceof TypeError;
    },
    "markers of end tags are not known": async () => {
      const seen = [];
      const body = await element((e) => { e.onEndTag((end) => { seen.push(end.name); }); }, "<p><q></q></p>", "p, q");
      return body === "<p><q></q></p>" && `${seen}` === "q,p";
    },
  });
