//! The rule `pages`: the Rust code of the pages for users is compiled, because a test contains the same tokens.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Finding;
use super::files::File;

/// The test that contains the code.
const COMPILED: &str = "tests/it/pages.rs";

/// Checks each block of Rust on README and in `docs/`.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let by_path: BTreeMap<_, _> = files.iter().map(|file| (&*file.path, file)).collect();
    let compiled = by_path
        .get(COMPILED)
        .and_then(|file| tokens(&file.text))
        .unwrap_or_default();
    let pages = files
        .iter()
        .filter(|file| file.path == "README.md" || file.path.starts_with("docs/") && file.is(&["md"]));
    pages.flat_map(|page| page_findings(page, &compiled)).collect()
}

fn page_findings(page: &File, compiled: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut lines = page.lines();
    while let Some(fence) = lines.next() {
        if fence.text != "```rust" {
            continue;
        }
        let code: String = lines
            .by_ref()
            .map(|line| line.text)
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        let is_compiled = |block: Vec<String>| compiled.windows(block.len().max(1)).any(|part| part == block);
        if !fence.allows("pages") && !tokens(&code).is_some_and(is_compiled) {
            findings.push(Finding {
                path: page.path.clone(),
                line: fence.number,
                rule: "pages",
                message: format!("{COMPILED} does not contain this code: change both"),
            });
        }
    }
    findings
}

/// The tokens of some code, without what rustfmt adds and removes: comments and trailing commas. `None` if it is not Rust.
fn tokens(code: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    flatten(code.parse().ok()?, &mut all);
    Some(all)
}

fn flatten(tokens: TokenStream, all: &mut Vec<String>) {
    for token in tokens {
        let TokenTree::Group(group) = token else {
            all.push(token.to_string());
            continue;
        };
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => ("", ""),
        };
        all.push(open.to_owned());
        flatten(group.stream(), all);
        // A tuple of one needs its comma, on the page and in the test alike.
        if all.last().is_some_and(|last| last == ",") {
            all.pop();
        }
        all.push(close.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::file;
    use super::*;

    fn lines(page: &str, test: &str) -> Vec<usize> {
        let files = [file("docs/a.md", page), file(COMPILED, test)];
        check(&files).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn formatting_and_comments_do_not_matter() {
        let page = "# A\n```rust\nlet a = f(1, 2); // three\nlet b = a;\n```\n";
        assert_eq!(
            lines(page, "fn x() { let a = f(\n 1,\n 2,\n); let b = a; }"),
            [] as [usize; 0]
        );
    }

    #[test]
    fn other_code() {
        let page = "```rust\nlet a = f(1);\n```\n```js\nlet a = 2;\n```\n```rust\nlet a = …;\n```\n";
        assert_eq!(lines(page, "fn x() { let a = f(2); }"), [1, 7]);
    }

    #[test]
    fn allowances() {
        let page = "<!-- tidy:allow(pages): part of a build script -->\n```rust\nlet a = f(1);\n```\n";
        assert_eq!(lines(page, "//! A.\n"), [] as [usize; 0]);
    }
}
