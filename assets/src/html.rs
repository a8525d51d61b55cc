//! The file for a path: `html_handling` and `not_found_handling`.
//!
//! A pure function of the path and the existing files:
//! <https://developers.cloudflare.com/workers/static-assets/routing/advanced/html-handling/>.

/// The URLs of HTML files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HtmlHandling {
    /// `/foo` for `foo.html`, and `/foo/` for `foo/index.html`. Other forms are redirected there.
    #[default]
    AutoTrailingSlash,
    /// `/foo/` for both.
    ForceTrailingSlash,
    /// `/foo` for both.
    DropTrailingSlash,
    /// A file has one URL, its path.
    None,
}

/// The answer to a path without a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotFoundHandling {
    /// 404 without a body, or the worker.
    #[default]
    None,
    /// The nearest `404.html`, with status 404.
    NotFoundPage,
    /// `/index.html`, with status 200.
    SinglePageApplication,
}

/// The result of looking up a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A file, below the folder.
    File(String),
    /// A `404.html`.
    NotFoundPage(String),
    /// Another path.
    Redirect(String),
}

/// A possible answer. The first that applies is used.
enum Step {
    /// A file, if it exists.
    Serve(String),
    /// The URL `to`, if it leads to `file`.
    Redirect { file: String, to: String },
}

/// Finds the answer for a decoded path.
pub(crate) fn find(
    path: &str,
    html: HtmlHandling,
    not_found: NotFoundHandling,
    exists: &mut dyn FnMut(&str) -> bool,
) -> Option<Found> {
    served(path, html, exists, true).or_else(|| missing(path, not_found, exists))
}

/// Finds the file, or the path for a redirect if `redirects` permits it.
fn served(path: &str, html: HtmlHandling, exists: &mut dyn FnMut(&str) -> bool, redirects: bool) -> Option<Found> {
    for step in steps(path, html) {
        match step {
            Step::Serve(file) => {
                if exists(&file) {
                    return Some(Found::File(file));
                }
            }
            Step::Redirect { file, to } => {
                let is_possible = redirects && exists(&file) && !exists(&to);
                if is_possible && served(&to, html, exists, false) == Some(Found::File(file)) {
                    return Some(Found::Redirect(to));
                }
            }
        }
    }
    None
}

fn missing(path: &str, handling: NotFoundHandling, exists: &mut dyn FnMut(&str) -> bool) -> Option<Found> {
    match handling {
        NotFoundHandling::None => None,
        NotFoundHandling::SinglePageApplication => {
            let index = "/index.html".to_owned();
            exists(&index).then_some(Found::File(index))
        }
        NotFoundHandling::NotFoundPage => {
            let mut folder = path;
            while let Some((above, _)) = folder.rsplit_once('/') {
                let page = format!("{above}/404.html");
                if exists(&page) {
                    return Some(Found::NotFoundPage(page));
                }
                folder = above;
            }
            None
        }
    }
}

fn steps(path: &str, html: HtmlHandling) -> Vec<Step> {
    use HtmlHandling::{AutoTrailingSlash as Auto, DropTrailingSlash as Drop, ForceTrailingSlash as Force};

    let serve = |file: String| Step::Serve(file);
    let to = |file: String, to: String| Step::Redirect { file, to };
    let itself = || serve(path.to_owned());
    // The URL forms of one page, whose file is `BASE.html` or `BASE/index.html`.
    let mut steps = if let Some(base) = path.strip_suffix("/index") {
        let (page, index, slash) = (format!("{base}.html"), format!("{path}.html"), format!("{base}/"));
        match html {
            Auto => vec![itself(), to(index, slash), to(page, base.to_owned())],
            Force => vec![itself(), to(index, slash.clone()), to(page, slash)],
            Drop if base.is_empty() => vec![itself(), to(index, slash)],
            Drop => vec![itself(), to(page, base.to_owned()), to(index, base.to_owned())],
            HtmlHandling::None => vec![],
        }
    } else if let Some(base) = path.strip_suffix("/index.html") {
        let (page, index, slash) = (format!("{base}.html"), path.to_owned(), format!("{base}/"));
        match html {
            Auto => vec![to(index, slash), to(page, base.to_owned())],
            Force => vec![to(index, slash.clone()), to(page, slash)],
            Drop if base.is_empty() => vec![to(index, slash)],
            Drop => vec![to(index, base.to_owned()), itself(), to(page, base.to_owned())],
            HtmlHandling::None => vec![],
        }
    } else if let Some(base) = path.strip_suffix('/') {
        let (page, index) = (format!("{base}.html"), format!("{base}/index.html"));
        match html {
            Auto => vec![serve(index), to(page, base.to_owned())],
            Force => vec![serve(index), serve(page)],
            Drop if base.is_empty() => vec![serve(index)],
            Drop => vec![to(page, base.to_owned()), to(index, base.to_owned())],
            HtmlHandling::None => vec![],
        }
    } else if let Some(base) = path.strip_suffix(".html") {
        let (page, index, slash) = (path.to_owned(), format!("{base}/index.html"), format!("{base}/"));
        match html {
            Auto => vec![to(page, base.to_owned()), to(index, slash)],
            Force => vec![to(page, slash.clone()), itself(), to(index, slash)],
            Drop => vec![to(page, base.to_owned()), to(index, base.to_owned())],
            HtmlHandling::None => vec![],
        }
    } else {
        vec![]
    };
    let (page, index, slash) = (format!("{path}.html"), format!("{path}/index.html"), format!("{path}/"));
    steps.push(itself());
    match html {
        Auto => steps.extend([serve(page), to(index, slash)]),
        Force => steps.extend([to(page, slash.clone()), to(index, slash)]),
        Drop => steps.extend([serve(page), serve(index)]),
        HtmlHandling::None => {}
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[&str] = &[
        "/index.html",
        "/file.html",
        "/folder/index.html",
        "/both.html",
        "/both/index.html",
        "/404.html",
        "/folder/404.html",
        "/plain.txt",
        "/bare",
    ];

    fn shown(path: &str, html: HtmlHandling, not_found: NotFoundHandling) -> String {
        match find(path, html, not_found, &mut |file| FILES.contains(&file)) {
            None => "-".to_owned(),
            Some(Found::File(file)) => file,
            Some(Found::NotFoundPage(file)) => format!("404 {file}"),
            Some(Found::Redirect(to)) => format!("> {to}"),
        }
    }

    /// Source: the tables of Workers' documentation on HTML handling, and workerd with miniflare 4's asset worker on these files.
    #[test]
    fn each_form_of_a_url_leads_to_one_place() {
        use HtmlHandling::{AutoTrailingSlash, DropTrailingSlash, ForceTrailingSlash};
        let table = [
            // path, auto, force, drop, none
            ("/", ["/index.html", "/index.html", "/index.html", "-"]),
            ("/index", ["> /", "> /", "> /", "-"]),
            ("/index.html", ["> /", "> /", "> /", "/index.html"]),
            ("/file", ["/file.html", "> /file/", "/file.html", "-"]),
            ("/file.html", ["> /file", "> /file/", "> /file", "/file.html"]),
            ("/file/", ["> /file", "/file.html", "> /file", "-"]),
            ("/file/index", ["> /file", "> /file/", "> /file", "-"]),
            ("/file/index.html", ["> /file", "> /file/", "> /file", "-"]),
            ("/folder", ["> /folder/", "> /folder/", "/folder/index.html", "-"]),
            ("/folder.html", ["> /folder/", "> /folder/", "> /folder", "-"]),
            (
                "/folder/",
                ["/folder/index.html", "/folder/index.html", "> /folder", "-"],
            ),
            ("/folder/index", ["> /folder/", "> /folder/", "> /folder", "-"]),
            (
                "/folder/index.html",
                ["> /folder/", "> /folder/", "> /folder", "/folder/index.html"],
            ),
            ("/both", ["/both.html", "> /both/", "/both.html", "-"]),
            ("/both.html", ["> /both", "/both.html", "> /both", "/both.html"]),
            ("/both/", ["/both/index.html", "/both/index.html", "> /both", "-"]),
            (
                "/both/index.html",
                ["> /both/", "> /both/", "/both/index.html", "/both/index.html"],
            ),
            ("/plain.txt", ["/plain.txt"; 4]),
            ("/bare", ["/bare"; 4]),
            ("/none", ["-"; 4]),
            ("/none/", ["-"; 4]),
        ];
        let modes = [
            AutoTrailingSlash,
            ForceTrailingSlash,
            DropTrailingSlash,
            HtmlHandling::None,
        ];
        for (path, expected) in table {
            let found = modes.map(|html| shown(path, html, NotFoundHandling::None));
            assert_eq!(found, expected.map(str::to_owned), "{path}");
        }
    }

    #[test]
    fn a_path_without_a_file_is_handled_as_configured() {
        let missing = |path, handling| shown(path, HtmlHandling::default(), handling);
        for (path, page, application) in [
            ("/none", "404 /404.html", "/index.html"),
            ("/folder/none", "404 /folder/404.html", "/index.html"),
            ("/folder/deep/none", "404 /folder/404.html", "/index.html"),
            ("/file", "/file.html", "/file.html"),
        ] {
            assert_eq!(missing(path, NotFoundHandling::NotFoundPage), page, "{path}");
            assert_eq!(
                missing(path, NotFoundHandling::SinglePageApplication),
                application,
                "{path}"
            );
        }
    }
}
