//! `_redirects`: <https://developers.cloudflare.com/workers/static-assets/redirects/>.

use std::collections::HashMap;

use http::StatusCode;

use crate::pattern::{Pattern, Target};
use crate::{LINE_MAX, Mistake};

/// Maximum number of rules without `*` and placeholders.
const STATIC_MAX: usize = 2000;
/// Maximum number of rules with `*` or placeholders.
const DYNAMIC_MAX: usize = 100;

/// The rules of a `_redirects` file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redirects {
    /// The number of the line and the rule, by path, or by `https://`, host and path.
    exact: HashMap<String, (usize, Rule)>,
    dynamic: Vec<(Pattern, Rule)>,
}

#[derive(Clone, Debug)]
struct Rule {
    to: String,
    status: StatusCode,
}

/// The effect of a rule on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// A redirect to a URL, or to a path of the same host.
    To(String, StatusCode),
    /// The answer is that for another path.
    Proxy(String),
}

impl Redirects {
    /// Parses a file. Lines with a mistake are skipped.
    pub(crate) fn read(text: &str, mistakes: &mut Vec<Mistake>) -> Self {
        let mut redirects = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(reason) = redirects.add(index, line) {
                mistakes.push(Mistake {
                    file: "_redirects",
                    line: index + 1,
                    reason: reason.to_owned(),
                });
            }
        }
        redirects
    }

    fn add(&mut self, index: usize, line: &str) -> Result<(), &'static str> {
        if line.len() > LINE_MAX {
            return Err("it is longer than 2,000 bytes");
        }
        // A comment may follow.
        let parts: Vec<_> = line
            .split_whitespace()
            .take_while(|part| !part.starts_with('#'))
            .collect();
        let (from, to, status) = match parts[..] {
            [from, to] => (from, to, "302"),
            [from, to, status] => (from, to, status),
            _ => return Err("it should be a path, a destination and optionally a status"),
        };
        if !from.starts_with('/') && !from.starts_with("https://") {
            return Err("it should begin with `/` or `https://`");
        }
        let is_url = to.starts_with("https://") || to.starts_with("http://");
        if !to.starts_with('/') && !is_url {
            return Err("its destination should begin with `/`, `https://` or `http://`");
        }
        let status = match status {
            "200" if is_url => return Err("a rule with status 200 has a path as destination"),
            "200" | "301" | "302" | "303" | "307" | "308" => status.parse().unwrap_or(StatusCode::FOUND),
            _ => return Err("its status should be 200, 301, 302, 303, 307 or 308"),
        };
        let rule = Rule {
            to: to.to_owned(),
            status,
        };
        let after_scheme = from.strip_prefix("https://").unwrap_or(from);
        if from.contains('*') || after_scheme.contains(':') {
            if self.dynamic.len() == DYNAMIC_MAX {
                return Err("there are more than 100 rules with `*` or placeholders");
            }
            let pattern = Pattern::new(from).ok_or("`*` and each placeholder may be there once")?;
            self.dynamic.push((pattern, rule));
        } else {
            if self.exact.len() == STATIC_MAX {
                return Err("there are more than 2,000 rules");
            }
            // The first rule counts.
            self.exact.entry(from.to_owned()).or_insert((index, rule));
        }
        Ok(())
    }

    /// Returns the effect on a request. The query of a request is passed on, unless the destination has one.
    pub(crate) fn find(&self, target: &Target, host: &str, query: Option<&str>) -> Option<Redirect> {
        let with_host = self.exact.get(&format!("https://{host}{}", target.path));
        let exact = [with_host, self.exact.get(&target.path)];
        if let Some((_, rule)) = exact.into_iter().flatten().min_by_key(|(line, _)| *line) {
            return Some(rule.effect(rule.to.clone(), query));
        }
        self.dynamic.iter().find_map(|(pattern, rule)| {
            let to = Pattern::fill(&rule.to, &pattern.captures(target)?);
            let to = match to.starts_with('/') {
                // A captured path may begin with a slash.
                true => one_slash(&to),
                false => to,
            };
            Some(rule.effect(to, query))
        })
    }
}

impl Rule {
    fn effect(&self, to: String, query: Option<&str>) -> Redirect {
        if self.status == StatusCode::OK {
            let end = to.find(['?', '#']).unwrap_or(to.len());
            return Redirect::Proxy(to[..end].to_owned());
        }
        let (before, hash) = to.split_at(to.find('#').unwrap_or(to.len()));
        let to = match query {
            Some(query) if !before.contains('?') => format!("{before}?{query}{hash}"),
            _ => to.clone(),
        };
        Redirect::To(to, self.status)
    }
}

fn one_slash(path: &str) -> String {
    let mut one = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !one.ends_with('/') {
            one.push(c);
        }
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
        # a comment
        /old /new
        /query /new?a=1 301   # with a comment
        /hash /new#part 308
        https://www.a.example/host https://a.example/
        /host /other
        /blog/* https://blog.a.example/:splat 301
        /slashes/* /to/:splat
        /app/* /app/index.html 200
        /old /second
    ";

    fn on(host: &str, path: &str, query: Option<&str>) -> Option<Redirect> {
        let mut mistakes = Vec::new();
        let redirects = Redirects::read(FILE, &mut mistakes);
        assert!(mistakes.is_empty());
        redirects.find(&Target::new(host, path), host, query)
    }

    /// Source: https://developers.cloudflare.com/workers/static-assets/redirects/.
    #[test]
    fn the_first_rule_that_matches_counts() {
        let to = |to: &str, status| Some(Redirect::To(to.to_owned(), StatusCode::from_u16(status).unwrap()));
        let get = |path, query| on("a.example", path, query);
        assert_eq!(get("/old", None), to("/new", 302));
        assert_eq!(get("/old", Some("x=y")), to("/new?x=y", 302));
        assert_eq!(get("/query", Some("x=y")), to("/new?a=1", 301));
        assert_eq!(get("/hash", Some("x=y")), to("/new?x=y#part", 308));
        assert_eq!(get("/host", None), to("/other", 302));
        assert_eq!(on("www.a.example", "/host", None), to("https://a.example/", 302));
        assert_eq!(get("/blog/a/b", None), to("https://blog.a.example/a/b", 301));
        assert_eq!(get("/slashes///a", None), to("/to/a", 302));
        assert_eq!(
            get("/app/x", Some("q")),
            Some(Redirect::Proxy("/app/index.html".to_owned()))
        );
        assert_eq!(get("/none", None), None);
    }

    #[test]
    fn a_line_with_a_mistake_is_skipped_and_reported() {
        let mut mistakes = Vec::new();
        let text = "/a\nb /c\n/a b\n/a /b 404\n/a https://x.example 200\n/*/* /b\n/good /b";
        let redirects = Redirects::read(text, &mut mistakes);
        assert_eq!(
            mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6]
        );
        assert!(redirects.find(&Target::new("h", "/good"), "h", None).is_some());
    }

    #[test]
    fn there_are_at_most_2000_rules_and_100_with_patterns() {
        for (rule, max) in [("/a", 2000), ("/*", 100)] {
            let lines: Vec<_> = (0..=max)
                .map(|at| format!("{}{at}{} /x", &rule[..1], &rule[1..]))
                .collect();
            let mut mistakes = Vec::new();
            Redirects::read(&lines.join("\n"), &mut mistakes);
            assert_eq!(mistakes.len(), 1, "{rule}");
            assert_eq!(mistakes[0].line, max + 1);
        }
    }
}
