//! Rules about language: plain words in prose and comments, and no questions as headings and summaries.
//!
//! A summary is a noun phrase or a third-person verb. [`SCOPE`] lists the places that follow the rules.

use super::Finding;
use super::files::File;

/// The files and folders (ending in `/`) that the rules apply to. Extend it as more is rewritten.
const SCOPE: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "assets/",
    "benches/",
    "capi/",
    "cli/",
    "conformance/",
    "docs/",
    "examples/",
    "ext/",
    "fuzz/",
    "host/",
    "module/",
    "isopod/",
    "node/src/",
    "outcome/",
    "runtime/",
    "server/",
    "snapshot/",
    "soak/",
    "tests/",
    "websocket/",
    "worker-pool/",
    "xtask/",
];

/// Words to avoid, in lower case, each with what to write instead.
const WORDS: &[(&str, &str)] = &[
    ("whoever", "name who"),
    ("whatever else", "say what"),
    ("nobody", "name who does not"),
    ("somebody", "name who"),
    ("how manieth", "the number of"),
    ("anew", "again"),
    ("made afresh", "created"),
    ("cancelled", "canceled"),
    ("cancelling", "canceling"),
    ("behaviour", "behavior"),
    ("licence", "license"),
    ("initialise", "initialize"),
    ("serialise", "serialize"),
    ("does not come back", "stuck, or not interruptible"),
    ("comes again", "is delivered again, or is repeated"),
    ("come again", "are delivered again, or are repeated"),
    ("is told of", "is notified of"),
    ("so many", "a number of, or this many"),
];

/// Words to avoid in names, each with nouns of the field.
const IN_NAMES: &[(&str, &str)] = &[
    ("heard", "received, a handler"),
    ("hears", "a receiver"),
    ("said", "declared, reported, sent"),
    ("says", "a report, a message"),
];
/// Those of types and their variants.
const IN_TYPES: &[(&str, &str)] = &[
    ("Asked", "Request, Call, Requested"),
    ("Heard", "Received, a handler"),
    ("Hears", "a receiver"),
    ("Said", "Report, Message"),
    ("Says", "Report, Message"),
    ("Told", "Reply, Report, Notice"),
];

/// Openings to avoid in headings and summaries: they pose a question, or say less than a noun.
const OPENINGS: &[&str] = &[
    "What",
    "Who",
    "Whom",
    "Whose",
    "Whether",
    "Where",
    "Why",
    "How",
    "One that",
    "The one that",
    "The way",
    "Well.",
    "So often",
    "So many",
    "That a",
];

/// Applies every rule of this module to one file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let covers = |place: &str| file.path == place || (place.ends_with('/') && file.path.starts_with(place));
    if !SCOPE.iter().any(|place| covers(place)) {
        return Vec::new();
    }
    match file.is(&["md"]) {
        true => prose(file),
        false => comments(file).into_iter().chain(names(file)).collect(),
    }
}

/// Checks the names in Rust code outside of tests.
fn names(file: &File) -> Vec<Finding> {
    if !file.is(&["rs"]) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for line in file.lines().filter(|line| !line.in_test && !line.allows("words")) {
        if comment(line.text).is_some() {
            continue;
        }
        let code: String = line.text.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        let code = code.split("//").next().unwrap_or_default();
        for name in code.split(|c: char| !c.is_alphanumeric() && c != '_') {
            let parts = name_parts(name);
            let listed = IN_NAMES.iter().chain(IN_TYPES).filter(|(word, _)| parts.contains(word));
            findings.extend(listed.map(|(word, instead)| {
                let message = format!("`{word}` in the name `{name}`: use a noun of the field, such as {instead}");
                finding(file, line.number, message)
            }));
        }
    }
    findings
}

/// The words of a name in snake case or camel case.
fn name_parts(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for word in name.split('_') {
        let mut start = 0;
        for (at, c) in word.char_indices().skip(1) {
            if c.is_uppercase() {
                parts.push(&word[start..at]);
                start = at;
            }
        }
        parts.push(&word[start..]);
    }
    parts
}

/// Checks the words of a page outside of code, and the openings of its headings.
fn prose(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for line in file.lines() {
        if line.text.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code || line.allows("words") {
            continue;
        }
        findings.extend(words(line.text).map(|message| finding(file, line.number, message)));
        let heading = line.text.trim_start_matches('#').trim();
        if line.text.starts_with('#') {
            findings.extend(opening(heading).map(|message| finding(file, line.number, message)));
        }
    }
    findings
}

/// Checks the words of comments outside of code, and the openings of doc comments.
fn comments(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut in_doc, mut in_code) = (false, false);
    for line in file.lines().filter(|line| !line.in_test) {
        let Some((is_doc, comment)) = comment(line.text) else {
            (in_doc, in_code) = (false, false);
            continue;
        };
        let is_summary = is_doc && !std::mem::replace(&mut in_doc, is_doc);
        in_code ^= comment.starts_with("```");
        if in_code || line.allows("words") {
            continue;
        }
        let found = words(comment).chain(opening(comment).filter(|_| is_summary));
        findings.extend(found.map(|message| finding(file, line.number, message)));
    }
    findings
}

/// The text of a line that is a comment, and whether it is part of a doc comment.
fn comment(line: &str) -> Option<(bool, &str)> {
    const STARTS: [(&str, bool); 6] = [
        ("///", true),
        ("//!", true),
        ("//", false),
        ("/**", true),
        ("/*", false),
        ("* ", true),
    ];
    let line = line.trim_start();
    let mut starts = STARTS.iter();
    let (is_doc, text) = starts.find_map(|(start, is_doc)| Some((*is_doc, line.strip_prefix(start)?)))?;
    Some((is_doc, text.trim().trim_end_matches("*/").trim_end()))
}

/// The listed words that a line contains outside of inline code.
fn words(line: &str) -> impl Iterator<Item = String> {
    let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ").to_lowercase();
    let is_word = move |word: &str| {
        plain.match_indices(word).any(|(at, _)| {
            let before = plain[..at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric())
        })
    };
    WORDS
        .iter()
        .filter(move |(word, _)| is_word(word))
        .map(|(word, instead)| format!("`{word}`: {instead}"))
}

fn opening(summary: &str) -> Option<String> {
    let opens = |word: &&&str| {
        summary
            .strip_prefix(**word)
            .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    let word = OPENINGS.iter().find(opens)?;
    Some(format!(
        "opens with `{word}`: a noun phrase or a third-person verb says it"
    ))
}

fn finding(file: &File, line: usize, message: String) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "words",
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::file;
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&file(path, text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn pages() {
        let text =
            "# How it works\n\nWhoever asks.\n`whoever` and renewed\n```\nnobody\n```\n## Limits\nWhat it says.\n";
        assert_eq!(lines("docs/a.md", text), [1, 3]);
        assert_eq!(lines("third_party/README.md", text), [] as [usize; 0]);
    }

    #[test]
    fn summaries() {
        let text = "//! Whether it is.\n\n/// Returns nothing.\n///\n/// Nobody may.\nfn f() {}\n\n/// Who asked.\nfn g() {}\n";
        assert_eq!(lines("cli/src/cli.rs", text), [1, 5, 8]);
        assert_eq!(lines("third_party/a.rs", text), [] as [usize; 0]);
    }

    #[test]
    fn other_comments() {
        let text = "// Nobody asked.\nlet a = 1; // nobody\n/** Whether it is. */\nfunction f() {}\n/**\n * Nobody may.\n */\n";
        assert_eq!(lines("ext/src/a.js", text), [1, 3, 6]);
        let code = "/// Returns it.\n///\n/// ```\n/// nobody\n/// ```\n/// Nobody may.\nfn f() {}\n";
        assert_eq!(lines("cli/src/cli.rs", code), [6]);
    }

    #[test]
    fn whole_words() {
        assert_eq!(opening("Whatever it holds."), None);
        assert_eq!(opening("However small."), None);
        assert!(opening("How: so.").is_some());
        assert_eq!(words("renewed, unlicenced").count(), 0);
        assert_eq!(words("Licences").count(), 1);
    }

    #[test]
    fn parts_of_names() {
        assert_eq!(name_parts("last_heard_at"), ["last", "heard", "at"]);
        assert_eq!(name_parts("NotAsked"), ["Not", "Asked"]);
        let text = "//! A.\nenum Asked { A }\nlet heard_at = \"said\"; // said\nfn told() {}\nstruct Unheard;\n";
        assert_eq!(lines("ext/src/a.rs", text), [2, 3]);
        assert_eq!(lines("ext/tests/it/a.rs", text), [] as [usize; 0]);
    }

    #[test]
    fn allowances() {
        let text = "<!-- tidy:allow(words): a quotation -->\nNobody knows.\n";
        assert_eq!(lines("docs/a.md", text), [] as [usize; 0]);
    }
}
