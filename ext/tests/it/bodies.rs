//! Bodies of requests and responses: strings, bytes, forms, and their streams.

use serde_json::{Value, json};

use crate::common::raw::Raw;
use crate::common::{io, run};
use crate::fetch::{local, with};

fn script(body: &str) -> Value {
    run(&io(), |_| (), body)
}

/// Encoding Standard, "UTF-8 decode" and "UTF-8 encode"; Fetch Standard, `text()`, `json()` and "safely extract".
#[test]
fn strings_are_what_their_bytes_are() {
    let got = script(
        r#"
        const bytes = async (body) => [...new Uint8Array(await new Response(body).arrayBuffer())];
        const both = async (body) => [
            await new Response(body).text(),
            await new Request('http://a/', { method: 'POST', body }).text(),
            await new Response(new Response(body).body).text(),
        ];
        return {
            mark: await both('\uFEFFa\uFEFF'),
            twice: await both('\uFEFF\uFEFF'),
            json: await new Response('\uFEFF{"a":1}').json(),
            markBytes: await bytes('\uFEFFa'),
            lone: await both('a\uD800b\uDC00'),
            loneBytes: await bytes('\uD800'),
            loneStream: [...(await new Response('\uDFFF').body.getReader().read()).value],
            blob: [await new Blob(['\uFEFF\uD800']).text(), (await new Response('\uD800').blob()).size],
            search: await new Response(new URLSearchParams([['\uD800', '\uFEFF']])).text(),
            json2: await Response.json({ a: '\uD800' }).text(),
        };
    "#,
    );
    let replaced = "a\u{fffd}b\u{fffd}";
    assert_eq!(
        got,
        json!({
            "mark": ["a\u{feff}", "a\u{feff}", "a\u{feff}"],
            "twice": ["\u{feff}", "\u{feff}", "\u{feff}"],
            "json": { "a": 1 },
            "markBytes": [0xef, 0xbb, 0xbf, 97],
            "lone": [replaced, replaced, replaced],
            "loneBytes": [0xef, 0xbf, 0xbd],
            "loneStream": [0xef, 0xbf, 0xbd],
            "blob": ["\u{fffd}", 3],
            "search": "%EF%BF%BD=%EF%BB%BF",
            "json2": "{\"a\":\"\\ud800\"}",
        })
    );
}

/// Fetch Standard, "extract a body": the stream of a body of bytes is set up with byte reading support.
#[test]
fn streams_of_bodies_can_be_read_into_buffers() {
    let got = script(
        r#"
        const form = new FormData();
        form.append('a', 'b');
        const read = async (body) => {
            const response = new Response(body);
            const reader = response.body.getReader({ mode: 'byob' });
            let text = '';
            while (true) {
                const { value, done } = await reader.read(new Uint8Array(3));
                text += new TextDecoder().decode(value);
                if (done) return [text, value.byteLength, response.bodyUsed];
            }
        };
        const kept = new Response(new Uint8Array([1, 2]));
        const clone = kept.clone();
        await kept.body.getReader().read();
        return {
            text: await read('some text'),
            empty: await read(''),
            bytes: await read(new Uint8Array([97, 98, 99, 100])),
            blob: await read(new Blob(['blob'])),
            form: (await read(form))[0].includes('form-data; name="a"'),
            request: (await new Request('http://a/', { method: 'POST', body: 'r' }).body.getReader({ mode: 'byob' })
                .read(new Uint8Array(9))).value.length,
            clone: [...await clone.bytes()],
            lengths: [Blob.prototype.stream.name, Blob.prototype.stream.length, ReadableStream.prototype.tee.name],
            brand: (await thrown(() => Blob.prototype.stream.call({}))).name + (await thrown(() => ReadableStream.prototype.tee.call({}))).name,
            same: (() => { const r = new Response('x'); return new Response(r.body).body === r.body; })(),
        };
    "#,
    );
    assert_eq!(
        got,
        json!({
            "text": ["some text", 0, true],
            "empty": ["", 0, true],
            "bytes": ["abcd", 0, true],
            "blob": ["blob", 0, true],
            "form": true,
            "request": 1,
            "clone": [1, 2],
            "lengths": ["stream", 0, "tee"],
            "brand": "TypeErrorTypeError",
            "same": true,
        })
    );
}

/// RFC 9112, section 6.2: a sender that knows the length sends it.
#[test]
fn a_known_length_is_sent_however_the_request_was_made() {
    let bodies = [
        "'héllo'",
        "new Uint8Array(6)",
        "new Blob(['hel', 'lo!'])",
        "new File(['hello!'], 'f')",
        "new URLSearchParams('a=bcde')",
        "new Response('héllo').body",
        "new Response(new Uint8Array(6)).clone().body",
        "new Response(new Blob(['hello!'])).body",
        "new Blob(['hello!']).slice(0, 6).stream()",
        "new Response('hello!').body.tee()[0]",
        "new Blob(['hello!']).stream().tee()[1]",
    ];
    let ways = [
        "fetch(url, { method: 'POST', body })",
        "fetch(new Request(url, { method: 'POST', body }))",
        "fetch(new Request(url, new Request('http://a/', { method: 'POST', body })))",
        "fetch(url, new Request('http://a/', { method: 'POST', body }))",
        "fetch(new Request('http://a/', { method: 'POST', body }).clone(), { headers: { a: 'b' } }).catch(() => 0)",
    ];
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let io = io();
    for body in bodies {
        for way in &ways[..4] {
            let raw = Raw::answering(vec![answer.to_vec()]);
            run(
                &io,
                with(local()),
                &format!("const url = '{}', body = {body}; await {way};", raw.url()),
            );
            let (head, _) = raw.request();
            assert!(
                head.contains("content-length: 6") && !head.contains("chunked"),
                "{body} {way}: {head}"
            );
        }
    }
    let raw = Raw::answering(vec![answer.to_vec()]);
    let form = "const body = new FormData(); body.append('a', new Blob(['bcd'])); await fetch(new Request(url, { method: 'POST', body }))";
    run(&io, with(local()), &format!("const url = '{}'; {form}", raw.url()));
    let (head, body) = raw.request();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    let raw = Raw::answering(vec![answer.to_vec()]);
    let body = "new ReadableStream({ start(c) { c.enqueue(new Uint8Array(3)); c.close(); } })";
    run(
        &io,
        with(local()),
        &format!("await fetch('{}', {{ method: 'POST', body: {body} }});", raw.url()),
    );
    assert!(raw.request().0.contains("transfer-encoding: chunked"));
}

/// RFC 9112, section 7.4: no transfer coding besides `chunked` may be sent unless the request asked for it. Its bytes
/// are not the body.
#[test]
fn a_response_in_a_transfer_coding_is_an_error() {
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let raw = Raw::answering(vec![answer.to_vec()]);
    let got = run(
        &io(),
        with(local()),
        &format!("return await thrown(() => fetch('{}'))", raw.url()),
    );
    assert_eq!(got["name"], json!("TypeError"), "{got}");
    assert!(
        got.to_string().contains("transfer coding that was not requested: gzip"),
        "{got}"
    );
}

const FORMS: &str = r#"
    const parse = async (body, type = 'multipart/form-data; boundary=b') => {
        const form = await new Response(body.replaceAll('\n', '\r\n'), { headers: { 'content-type': type } }).formData();
        return [...form].map(([name, value]) => value instanceof File
            ? [name, value.name, value.type, value.size] : [name, value]);
    };
    const part = (disposition, content = 'x') => parse(
        `--b\nContent-Disposition: form-data; ${disposition}\n\n${content}\n--b--\n`).then((list) => list[0]);
"#;

#[test]
fn names_survive_a_round_trip() {
    let got = script(
        r#"
        const names = ['a;b', 'a=b', 'a"b"', "it's", '100%', 'a%b', 'a\r\nb', 'é漢😀', '', ' a ', 'a\\b', 'a\\\\b', 'a\\', 'a; filename="x"',
            '\\"', 'a\\"; b'];
        const failed = [];
        for (const name of names) {
            for (const file of names) {
                const form = new FormData();
                form.append(name, new File(['1'], file));
                form.append(name, file);
                const [[first, { name: kept }], [second, text]] = [...await new Response(form).formData()];
                if (first !== name || second !== name || kept !== file || text !== file) failed.push([name, file, first, kept, text]);
            }
        }
        return failed;
    "#,
    );
    assert_eq!(got, json!([]));
}

/// HTML Standard, "multipart/form-data encoding algorithm"; curl(1), `--form-escape`; RFC 7578, section 4.2.
#[test]
fn names_of_browsers_and_of_curl_are_read() {
    let got = script(&format!(
        r#"{FORMS}
        return [
            await part('name="a%22b%0D%0Ac"; filename="%22;=%0a"'),
            await part('name="a\\"b"; filename="c:\\\\d\\"e"'),
            await part('name="a\\"; b"'),
            await part('name="a\\"; filename="C:\\dir\\f.txt"'),
            await part('NAME=a; FileName = b.txt'),
            await part('name="a"; filename=""', ''),
            await part('name="a";\n  filename="folded"'),
            await part('name="é"'),
            await part('name="first"; name="second"'),
            await part('name="a"; x="y;name=z"'),
        ];
    "#
    ));
    assert_eq!(
        got,
        json!([
            ["a\"b\r\nc", "\";=\n", "text/plain", 1],
            ["a\"b", "c:\\d\"e", "text/plain", 1],
            ["a\"; b", "x"],
            ["a\\", "C:\\dir\\f.txt", "text/plain", 1],
            ["a", "b.txt", "text/plain", 1],
            ["a", "", "text/plain", 0],
            ["a", "folded", "text/plain", 1],
            ["é", "x"],
            ["first", "x"],
            ["a", "x"],
        ])
    );
}

/// RFC 2046, section 5.1.1; RFC 7578, section 4.4; Fetch Standard, `formData()`.
#[test]
fn multipart_bodies_are_read_as_their_grammar_says() {
    let got = script(&format!(
        r#"{FORMS}
        const a = 'Content-Disposition: form-data; name="a"';
        return [
            await parse(`preamble\n--bx\n--b\n${{a}}\n\n1\n--b--\nepilogue`),
            await parse(`--b \t\n${{a}}\n\n1\n--b-- \t`),
            await parse(`--b\n${{a}}\n\n\n--b\n${{a}}\n\n--b--`),
            await parse(`--b\n${{a}}\n\n--b-\n--bb\n--b--x\n--b--`),
            await parse(`--b\ncontent-type: IMAGE/png\nCONTENT-disposition:form-data;name=a;filename=f\n\n1\n--b--`),
            await parse('--b--\n'),
            await parse(`--a b\n${{a}}\n\n1\n--a b--`, 'multipart/form-data; charset=utf-8; boundary="a b"'),
            await parse(`--b\n${{a}}\n\n\uFEFF1\n--b--`, 'Multipart/Form-Data;BOUNDARY=b'),
            await parse('a=b+c&%C3%A9=%22&a', 'application/x-www-form-urlencoded'),
            await parse('\uFEFFa=\uD800%FF', 'application/x-www-form-urlencoded; charset=utf-16'),
        ];
    "#
    ));
    assert_eq!(
        got,
        json!([
            [["a", "1"]],
            [["a", "1"]],
            [["a", ""], ["a", ""]],
            [["a", "--b-\r\n--bb\r\n--b--x"]],
            [["a", "f", "image/png", 1]],
            [],
            [["a", "1"]],
            [["a", "\u{feff}1"]],
            [["a", "b c"], ["é", "\""], ["a", ""]],
            [["\u{feff}a", "\u{fffd}\u{fffd}"]],
        ])
    );
}

#[test]
fn broken_multipart_bodies_are_type_errors() {
    let got = script(&format!(
        r#"{FORMS}
        const a = 'Content-Disposition: form-data; name="a"';
        const failed = [];
        for (const [body, type] of [
            [''],
            ['no boundary'],
            [`--b\n${{a}}`],
            [`--b\n${{a}}\n\n1`],
            [`--b\n${{a}}\n\n1\n--b`],
            [`--b\n${{a}}\n\n1\n--b\n`],
            [`--b\n${{a}}\n\n1\n--b\n${{a}}\n\n2`],
            ['--b\n\n1\n--b--'],
            ['--b\nContent-Disposition: form-data\n\n1\n--b--'],
            ['--b\nContent-Disposition: attachment; name="a"\n\n1\n--b--'],
            ['--b\nContent-Disposition: form-data; name="a\n\n1\n--b--'],
            ['--b--', 'multipart/form-data'],
            ['--b--', 'text/plain'],
        ]) {{
            const error = await thrown(() => parse(body, type));
            if (error?.name !== 'TypeError') failed.push([body, error]);
        }}
        return failed;
    "#
    ));
    assert_eq!(got, json!([]));
}
