//! The public interface of `isopod` as a text in the repository, so that every change of it is seen in review.
//!
//! It is read from the pages that rustdoc writes. They have what a user sees: the items of the internal crates in the place
//! where `isopod` re-exports them, which rustdoc's other formats leave out.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// Where the interface is written down.
const BASELINE: &str = "isopod/api.txt";

/// Builds the documentation, and writes the interface down.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    document(workspace)?;
    let text = read(&workspace.target.join("doc/isopod"))?;
    fs::write(workspace.root.join(BASELINE), text)?;
    shell::say(&format!("{BASELINE} is written; commit it"));
    Ok(())
}

/// Builds the documentation of the workspace; a warning is an error.
pub(crate) fn document(workspace: &Workspace) -> Result<()> {
    let mut command = shell::command("cargo", &workspace.root);
    command.env("RUSTDOCFLAGS", "-D warnings");
    // The build tool's own docs are read in its source.
    shell::run(command.args(["doc", "--no-deps", "--workspace", "--exclude", "xtask"]))
}

/// Whether there is an interface to compare with.
pub(crate) fn is_written(workspace: &Workspace) -> bool {
    workspace.root.join(BASELINE).is_file()
}

/// Compares the interface with what is written down. The documentation has been built.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let was = workspace.read(BASELINE)?;
    let is = read(&workspace.target.join("doc/isopod"))?;
    let difference = difference(&was, &is);
    if !difference.is_empty() {
        bail!("the public interface of `isopod` has changed; `cargo xtask api` writes it down\n{difference}");
    }
    Ok(())
}

/// Lines that only one of two texts has, each under the item it belongs to.
fn difference(was: &str, is: &str) -> String {
    let lines = |text: &str| -> Vec<String> {
        let mut item = "";
        let mut lines = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("    ") {
                Some(part) => lines.push(format!("{item}: {}", part.trim_start())),
                None => {
                    item = line.split(' ').next().unwrap_or_default();
                    lines.push(line.to_owned());
                }
            }
        }
        lines
    };
    let (was, is) = (lines(was), lines(is));
    let gone = was
        .iter()
        .filter(|line| !is.contains(line))
        .map(|line| format!("- {line}\n"));
    let new = is
        .iter()
        .filter(|line| !was.contains(line))
        .map(|line| format!("+ {line}\n"));
    gone.chain(new).collect()
}

/// The interface, an item after the other: its path and declaration, and indented what it has and implements.
fn read(folder: &Path) -> Result<String> {
    let list = fs::read_to_string(folder.join("all.html"))
        .with_context(|| format!("{} has no documentation", folder.display()))?;
    let mut text = String::new();
    // Pages of items that are no longer there stay in the folder; the list has those that are.
    for page in pages(&list) {
        let html = fs::read_to_string(folder.join(page)).with_context(|| format!("{page} is not there"))?;
        item(&mut text, page, &html)?;
    }
    Ok(text)
}

/// The pages that `all.html` lists, sorted.
fn pages(list: &str) -> Vec<&str> {
    let links = list
        .split("<ul class=\"all-items\">")
        .skip(1)
        .flat_map(|part| part.split("</ul>").next());
    let mut pages: Vec<_> = links
        .flat_map(|links| links.split("href=\"").skip(1))
        .filter_map(|link| link.split('"').next())
        .collect();
    pages.sort_unstable();
    pages.dedup();
    pages
}

fn item(text: &mut String, page: &str, html: &str) -> Result<()> {
    let stem = page.strip_suffix(".html").unwrap_or(page);
    let (folder, file) = stem
        .rsplit_once('/')
        .map_or(("", stem), |(folder, file)| (folder, file));
    let (kind, name) = file
        .split_once('.')
        .with_context(|| format!("{page} is the page of an item"))?;
    let path = [folder, name]
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>();
    let path = path.join("/").replace('/', "::");
    let declaration = html.split("<pre class=\"rust item-decl\">").nth(1);
    let declaration = declaration.and_then(|rest| rest.split("</pre>").next()).unwrap_or(kind);
    writeln!(text, "isopod::{path} {}", plain(declaration))?;
    // What every type of that shape has by itself, and who implements a trait elsewhere, is no part of it.
    let own = [
        "synthetic-implementations",
        "blanket-implementations",
        "foreign-impls",
        "implementors",
    ]
    .iter()
    .filter_map(|id| html.find(&format!("id=\"{id}\"")))
    .min()
    .map_or(html, |end| &html[..end]);
    // A trait's own page says what its methods are; that it is implemented is enough.
    let (inherent, traits) = match own.find("id=\"trait-implementations\"") {
        Some(at) => own.split_at(at),
        None => (own, ""),
    };
    for header in headers(inherent) {
        writeln!(text, "    {header}")?;
    }
    for header in headers(traits).filter(|header| header.starts_with("impl")) {
        writeln!(text, "    {header}")?;
    }
    Ok(())
}

/// What a page has a heading for: implementations and methods.
fn headers(html: &str) -> impl Iterator<Item = String> {
    html.split("class=\"code-header\">").skip(1).map(|part| {
        let ends = [part.find("</h3>"), part.find("</h4>")];
        plain(&part[..ends.into_iter().flatten().min().unwrap_or(part.len())])
    })
}

/// The text of a piece of HTML in one line, without attributes that only say how something is derived.
fn plain(html: &str) -> String {
    let mut text = String::new();
    for (number, part) in html.split('<').enumerate() {
        let part = if number == 0 {
            part
        } else {
            part.split_once('>').map_or("", |(_, text)| text)
        };
        text.push_str(part);
    }
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("ⓘ", ""),
    ] {
        text = text.replace(entity, character);
    }
    text = text.replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<pre class="rust item-decl"><code>pub struct A&lt;T&gt; {
    pub b: <a href="x">u8</a>,
}</code></pre><h3 class="code-header">impl A</h3><h4 class="code-header">pub fn f(&amp;self)</h4>
<h2 id="trait-implementations"></h2><h3 class="code-header">impl Clone for A</h3><h4 class="code-header">fn clone(&amp;self)</h4>
<h2 id="synthetic-implementations"></h2><h3 class="code-header">impl Send for A</h3>"#;

    #[test]
    fn an_item_has_its_declaration_and_what_is_its_own() {
        let mut text = String::new();
        item(&mut text, "m/struct.A.html", PAGE).unwrap();
        assert_eq!(
            text,
            "isopod::m::A pub struct A<T> { pub b: u8, }\n    impl A\n    pub fn f(&self)\n    impl Clone for A\n"
        );
    }

    #[test]
    fn pages_are_those_of_the_list() {
        let list = r#"<a href="index.html"></a><ul class="all-items"><li><a href="m/struct.B.html">m::B</a></li>
            <li><a href="fn.a.html">a</a></li></ul>"#;
        assert_eq!(pages(list), ["fn.a.html", "m/struct.B.html"]);
    }

    #[test]
    fn a_difference_names_the_item() {
        let was = "isopod::A pub struct A;\n    impl A\n        pub fn f()\n";
        let is = "isopod::A pub struct A;\n    impl A\n        pub fn g()\n";
        assert_eq!(
            difference(was, is),
            "- isopod::A: pub fn f()\n+ isopod::A: pub fn g()\n"
        );
        assert_eq!(difference(was, was), "");
    }
}
