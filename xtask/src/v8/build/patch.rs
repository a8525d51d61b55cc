//! The edits to the crate's build files. Each is applied to the published text in memory, so that a plan can be checked
//! first, and applying it twice has the same result as once.

use std::fs;

use anyhow::{Context, Result};

use super::plan::Plan;

/// Placeholder for a path that is unknown until its crate is fetched.
const TEMPORAL_HEADERS: &str = "@TEMPORAL_HEADERS@";

/// A build file and its edited text.
pub(crate) struct Edit {
    /// The file's path from the source's root.
    pub(crate) file: &'static str,
    /// The reason for the edit.
    pub(crate) why: &'static str,
    text: String,
}

impl Edit {
    /// The text with the folder of the `temporal_capi` crate filled in.
    pub(crate) fn text(&self, temporal: &std::path::Path) -> String {
        self.text
            .replace(TEMPORAL_HEADERS, &temporal.join("bindings/cpp").to_string_lossy())
    }
}

/// All edits, or an error for the first that does not fit the published text.
pub(crate) fn edits(plan: &Plan) -> Result<Vec<Edit>> {
    let file = "third_party/rust/temporal_capi/BUILD.gn";
    let path = plan.source.join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let text = temporal(&text, &plan.temporal_library().to_string_lossy()).with_context(|| {
        format!(
            "{} is not as expected; adapt the edits to this version of V8",
            path.display()
        )
    })?;
    Ok(vec![Edit {
        file,
        why: "Temporal's Rust part is built by cargo, not by gn",
        text,
    }])
}

/// Chromium builds the crate from an unpublished vendored copy. Here cargo builds it: the group no longer depends on
/// the vendored target, and its dependents link the library.
fn temporal(text: &str, library: &str) -> Result<String> {
    let text = replace_assignment(text, "public_deps", "")?;
    let include = format!("include_dirs = [ \"{TEMPORAL_HEADERS}\" ]\n  libs = [ \"{library}\" ]");
    replace_assignment(&text, "include_dirs", &include)
}

/// Replaces `name = [ … ]`, which must occur exactly once.
fn replace_assignment(text: &str, name: &str, with: &str) -> Result<String> {
    let pattern = format!("{name} = [");
    let starts: Vec<_> = text.match_indices(&pattern).map(|(at, _)| at).collect();
    let &[start] = starts.as_slice() else {
        anyhow::bail!("`{pattern}` occurs {} times instead of once", starts.len());
    };
    let length = text[start..]
        .find(']')
        .with_context(|| format!("`{pattern}` is never closed"))?;
    Ok(format!("{}{with}{}", &text[..start], &text[start + length + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporals_group_links_the_library_instead_of_the_vendored_target() {
        let published = "group(\"t\") {\n  public_deps = [ \"//vendored\" ]\n}\nconfig(\"c\") {\n  include_dirs = [\n \"//x\",\n ]\n}\n";
        let edit = Edit {
            file: "f",
            why: "w",
            text: temporal(published, "/lib.a").unwrap(),
        };
        let expected = "group(\"t\") {\n  \n}\nconfig(\"c\") {\n  include_dirs = [ \"/t/bindings/cpp\" ]\n  libs = [ \"/lib.a\" ]\n}\n";
        assert_eq!(edit.text(std::path::Path::new("/t")), expected);
    }

    #[test]
    fn a_text_that_changed_upstream_is_refused() {
        let error = temporal("group(\"t\") {}", "/lib.a").unwrap_err().to_string();
        assert!(error.contains("0 times instead of once"), "{error}");
    }
}
