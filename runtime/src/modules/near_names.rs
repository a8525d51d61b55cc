//! "Did you mean": names similar to a missing one. Pure.

/// The maximum length of a file name. A script may request a name of a million characters, and comparing takes time and
/// memory proportional to the product of both lengths.
const NAME_BYTES_MAX: usize = 255;

/// At most three names, the most similar first.
pub(super) fn near<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if wanted.len() > NAME_BYTES_MAX {
        return Vec::new();
    }
    let stem = |name: &str| {
        name.rsplit_once('.')
            .map_or_else(|| name.to_owned(), |(stem, _)| stem.to_owned())
    };
    let mut found: Vec<(f64, &str)> = names
        .into_iter()
        .filter(|name| *name != wanted && name.len() <= NAME_BYTES_MAX)
        .map(|name| {
            // The same name with another extension is the most likely mistake.
            let score = if stem(name) == stem(wanted) {
                1.0
            } else {
                strsim::normalized_damerau_levenshtein(wanted, name)
            };
            (score, name)
        })
        .filter(|(score, _)| *score >= 0.6)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// A hint that lists similar names.
pub(super) fn hint(near: &[&str]) -> String {
    match near {
        [] => "check the path; imports are relative to the importing file".into(),
        names => {
            let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
            format!("did you mean {}?", quoted.join(" or "))
        }
    }
}
