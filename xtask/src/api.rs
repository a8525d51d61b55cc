//! The public interface of `isopod` as a text file in the repository, so that reviews show every change to it.
//!
//! It is read from the HTML that rustdoc writes. Unlike rustdoc's other formats, it has what users see: items of the
//! internal crates at the path where `isopod` re-exports them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// The file that records the interface.
const BASELINE: &str = "isopod/api.txt";

/// Builds the documentation and records the interface.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    document(workspace)?;
    let text = read(&workspace.target.join("doc/isopod"))?;
    fs::write(workspace.root.join(BASELINE), text)?;
    shell::say(&format!("{BASELINE} is up to date"));
    Ok(())
}

/// Builds the documentation of the workspace; a warning is an error.
pub(crate) fn document(workspace: &Workspace) -> Result<()> {
    let mut command = shell::command("cargo", &workspace.root);
    command.env("RUSTDOCFLAGS", "-D warnings");
    // xtask's documentation is read in its source.
    shell::run(command.args(["doc", "--no-deps", "--workspace", "--exclude", "xtask"]))
}

/// Returns true if an interface has been recorded.
pub(crate) fn is_written(workspace: &Workspace) -> bool {
    workspace.root.join(BASELINE).is_file()
}

/// Compares the interface with the recorded one. The documentation must have been built.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let was = workspace.read(BASELINE)?;
    let is = read(&workspace.target.join("doc/isopod"))?;
    let difference = difference(&was, &is);
    if !difference.is_empty() {
        bail!("the public interface of `isopod` has changed; run `cargo xtask api` to record it\n{difference}");
    }
    Ok(())
}

/// The lines that only one of the two texts has, each prefixed with its item.
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

/// Returns the interface: a line for each item, with path and declaration, and below it, indented, its methods and
/// trait implementations.
fn read(folder: &Path) -> Result<String> {
    let list = fs::read_to_string(folder.join("all.html"))
        .with_context(|| format!("{} has no documentation", folder.display()))?;
    let mut text = String::new();
    // The folder keeps the pages of items that were removed; only the list is current.
    for page in pages(&list) {
        let html = fs::read_to_string(folder.join(page)).with_context(|| format!("{page} does not exist"))?;
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
    // Auto traits, blanket implementations and the implementors of a trait are left out.
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
    // The methods of a trait are on the trait's own page.
    let (inherent, traits) = match own.find("id=\"trait-implementations\"") {
        Some(at) => own.split_at(at),
        None => (own, ""),
    };
    // So are the methods of what the item dereferences to.
    let inherent = inherent.split("id=\"deref-methods").next().unwrap_or_default();
    for header in headers(inherent) {
        writeln!(text, "    {header}")?;
    }
    for header in headers(traits).filter(|header| header.starts_with("impl")) {
        writeln!(text, "    {header}")?;
    }
    Ok(())
}

/// The headings of a page: implementations and methods.
fn headers(html: &str) -> impl Iterator<Item = String> {
    html.split("class=\"code-header\">").skip(1).map(|part| {
        let ends = [part.find("</h3>"), part.find("</h4>")];
        plain(&part[..ends.into_iter().flatten().min().unwrap_or(part.len())])
    })
}

/// The text of a piece of HTML, on one line.
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
<h2 id="deref-methods-T"></h2><h4 class="code-header">pub fn len(&amp;self)</h4>
<h2 id="trait-implementations"></h2><h3 class="code-header">impl Clone for A</h3><h4 class="code-header">fn clone(&amp;self)</h4>
<h2 id="synthetic-implementations"></h2><h3 class="code-header">impl Send for A</h3>"#;

    #[test]
    fn an_item_has_its_declaration_and_members() {
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
