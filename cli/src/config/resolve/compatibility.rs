//! The compatibility date and flags of a worker.

use isopod::{Compatibility, FlagIssue};

use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;

impl Reading<'_> {
    /// Evaluates the date and flags of the worker at `path`. An unknown flag is a problem.
    pub(super) fn compatibility(&mut self, path: &KeyPath, date: Option<&str>, flags: &[String]) -> Compatibility {
        let key = path.key("compatibility_flags");
        let date = date.and_then(|text| {
            text.parse()
                .inspect_err(|_| {
                    let key = path.key("compatibility_date");
                    let fault = Fault::BadValue {
                        key: key.to_string(),
                        value: format!("{text:?}"),
                        reason: "should be a date, written as YYYY-MM-DD".to_owned(),
                    };
                    self.tell(&key, fault, "for example `compatibility_date = \"2026-08-04\"`");
                })
                .ok()
        });
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let (compatibility, issues) = Compatibility::resolve(date, &flags);
        for issue in issues {
            match issue {
                FlagIssue::Unknown { flag, near } => {
                    let fault = Fault::BadValue {
                        key: key.to_string(),
                        value: format!("{flag:?}"),
                        reason: "no such flag".to_owned(),
                    };
                    self.tell(&key, fault, suggestion(near));
                }
                FlagIssue::NoEffect { flag, reason } => self.note(&key, format!("`{flag}` has no effect: {reason}")),
                FlagIssue::Contradiction { on, off } => {
                    self.note(&key, format!("`{on}` has no effect, because `{off}` has precedence"));
                }
                _ => {}
            }
        }
        compatibility
    }

    /// Removes unknown flags, with a note for each: newer versions of wrangler add flags.
    pub(in crate::config) fn known_flags(&mut self, key: &KeyPath, flags: Vec<String>) -> Vec<String> {
        let given: Vec<_> = flags.iter().map(String::as_str).collect();
        let mut unknown = Vec::new();
        for issue in Compatibility::resolve(None, &given).1 {
            if let FlagIssue::Unknown { flag, near } = issue {
                let message = format!("unknown compatibility flag `{flag}`, ignored; {}", suggestion(near));
                self.note(key, message);
                unknown.push(flag);
            }
        }
        flags.into_iter().filter(|flag| !unknown.contains(flag)).collect()
    }
}

fn suggestion(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let known: Vec<_> = Compatibility::flags().collect();
            format!("the flags with an effect: {}", known.join(", "))
        }
    }
}
