//! Compatibility dates and flags: a script's declaration of the platform version it was written for, and the behavior
//! that follows. `flags` is the only table; this module evaluates it.

mod date;
mod flags;

use self::flags::{Effect, Setting};

pub use self::date::{CompatibilityDate, InvalidDate};

/// The behavior that follows from a compatibility date and compatibility flags.
///
/// ```
/// # mod isopod { pub use isopod_runtime::{Compatibility, NodeCompat}; }
/// use isopod::{Compatibility, NodeCompat};
///
/// // From 2026-08-04 on, Node.js modules are available by default.
/// let (newest, _) = Compatibility::resolve(None, &[]);
/// assert_eq!(newest.node, NodeCompat::Full);
///
/// let (old, _) = Compatibility::resolve(Some("2024-01-01".parse()?), &["nodejs_als"]);
/// assert_eq!(old.node, NodeCompat::AsyncLocalStorage);
/// # Ok::<(), isopod_runtime::InvalidDate>(())
/// ```
///
/// The default is that of the newest date without flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Compatibility {
    /// The available Node.js modules and globals. Default: [`NodeCompat::Full`].
    pub node: NodeCompat,
    /// Copies the text bindings (variables and secrets) to `process.env`. Default: true.
    pub process_env: bool,
    /// Defines the global `navigator`. Default: true.
    pub navigator: bool,
    /// Answers navigations that no asset matches by the `not_found` setting of the static assets, before the worker is
    /// asked. Default: true.
    pub asset_navigations: bool,
}

/// The Node.js modules and globals that a script may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NodeCompat {
    /// None.
    Off,
    /// The module `node:async_hooks` only: flag `nodejs_als`.
    AsyncLocalStorage,
    /// Modules by their names with the prefix `node:`: flag `nodejs_compat` before 2024-09-23.
    Prefixed,
    /// Modules with and without the prefix, and the globals `Buffer`, `process`, `global`, `setImmediate` and
    /// `clearImmediate`: flag `nodejs_compat` from 2024-09-23, `nodejs_compat_v2`, and the default from 2026-08-04.
    Full,
}

/// A flag that does not do what its name promises.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlagIssue {
    /// The flag is not known.
    Unknown {
        /// The flag.
        flag: String,
        /// The most similar known flag, if one is similar.
        near: Option<&'static str>,
    },
    /// The flag is known and has no effect.
    NoEffect {
        /// The flag.
        flag: String,
        /// The reason.
        reason: &'static str,
    },
    /// Two flags contradict each other.
    Contradiction {
        /// The flag that turns a behavior on.
        on: &'static str,
        /// The flag that turns it off, and has precedence.
        off: &'static str,
    },
}

impl Compatibility {
    /// Evaluates a date and flags. Without a date, the newest behavior applies. The issues are for the user: they
    /// do not prevent the script from running.
    #[must_use]
    pub fn resolve(date: Option<CompatibilityDate>, given: &[&str]) -> (Self, Vec<FlagIssue>) {
        let date = date.unwrap_or(CompatibilityDate::MAX);
        let mut issues: Vec<_> = given.iter().filter_map(|flag| issue(flag)).collect();
        let mut on = Vec::new();
        for rule in flags::RULES {
            let (enabled, disabled) = (given.contains(&rule.on), given.contains(&rule.off));
            if enabled && disabled {
                issues.push(FlagIssue::Contradiction {
                    on: rule.on,
                    off: rule.off,
                });
            }
            let by_default = || rule.default.applies(date, &on);
            if !disabled && (enabled || by_default()) {
                on.push(rule.setting);
            }
        }
        let has = |setting| on.contains(&setting);
        let node = match () {
            () if has(Setting::NodeBare) => NodeCompat::Full,
            () if has(Setting::Node) => NodeCompat::Prefixed,
            () if has(Setting::AsyncLocalStorage) => NodeCompat::AsyncLocalStorage,
            () => NodeCompat::Off,
        };
        let compatibility = Self {
            node,
            process_env: has(Setting::ProcessEnv),
            navigator: has(Setting::Navigator),
            asset_navigations: has(Setting::AssetNavigations),
        };
        (compatibility, issues)
    }

    /// The known flags that change a script's behavior.
    pub fn flags() -> impl Iterator<Item = &'static str> {
        flags::RULES.iter().flat_map(|rule| [rule.on, rule.off])
    }
}

impl Default for Compatibility {
    fn default() -> Self {
        Self::resolve(None, &[]).0
    }
}

isopod_ext::setters!(Compatibility {
    node: NodeCompat,
    process_env: bool,
    navigator: bool,
    asset_navigations: bool,
});

fn issue(flag: &str) -> Option<FlagIssue> {
    match flags::effect(flag) {
        Some(Effect::Changes | Effect::Always) => None,
        Some(Effect::Nothing(reason)) => Some(FlagIssue::NoEffect {
            flag: flag.to_owned(),
            reason,
        }),
        None => Some(FlagIssue::Unknown {
            flag: flag.to_owned(),
            near: nearest(flag),
        }),
    }
}

fn nearest(flag: &str) -> Option<&'static str> {
    // As similar as a typing error or a forgotten word leaves it.
    const SIMILAR: f64 = 0.85;
    flags::all()
        .map(|known| (strsim::jaro_winkler(flag, known), known))
        .filter(|(similar, _)| *similar >= SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::{Compatibility, FlagIssue, NodeCompat};

    fn node(date: &str, flags: &[&str]) -> NodeCompat {
        let date = (!date.is_empty()).then(|| date.parse().expect("a date"));
        Compatibility::resolve(date, flags).0.node
    }

    /// Dates and implications: workerd, src/workerd/io/compatibility-date.capnp.
    #[test]
    fn node_modules_follow_from_date_and_flags() {
        for (date, flags, expected) in [
            ("", &[][..], NodeCompat::Full),
            ("2026-08-04", &[], NodeCompat::Full),
            ("2026-08-03", &[], NodeCompat::Off),
            ("2026-08-04", &["no_nodejs_compat"], NodeCompat::Off),
            ("2024-09-22", &["nodejs_compat"], NodeCompat::Prefixed),
            ("2024-09-23", &["nodejs_compat"], NodeCompat::Full),
            (
                "2024-09-23",
                &["nodejs_compat", "no_nodejs_compat_v2"],
                NodeCompat::Prefixed,
            ),
            ("2024-01-01", &["nodejs_compat_v2"], NodeCompat::Full),
            ("2024-01-01", &["nodejs_als"], NodeCompat::AsyncLocalStorage),
            ("2024-01-01", &["nodejs_als", "no_nodejs_als"], NodeCompat::Off),
        ] {
            assert_eq!(node(date, flags), expected, "{date} {flags:?}");
        }
    }

    #[test]
    fn process_env_follows_from_the_date_where_node_modules_are_on() {
        let env = |date: &str, flags: &[&str]| {
            Compatibility::resolve(Some(date.parse().expect("a date")), flags)
                .0
                .process_env
        };
        assert!(env("2025-04-01", &["nodejs_compat"]));
        assert!(!env("2025-03-31", &["nodejs_compat"]));
        assert!(!env("2025-04-01", &[]));
        assert!(env(
            "2024-10-01",
            &["nodejs_compat", "nodejs_compat_populate_process_env"]
        ));
        let off = "nodejs_compat_do_not_populate_process_env";
        assert!(!env("2025-04-01", &["nodejs_compat", off]));
    }

    /// <https://developers.cloudflare.com/workers/configuration/compatibility-flags/#navigation-requests-prefer-asset-serving>
    #[test]
    fn navigations_prefer_assets_by_date_and_flags() {
        let navigations = |date: Option<&str>, flags: &[&str]| {
            let date = date.map(|date| date.parse().expect("a date"));
            Compatibility::resolve(date, flags).0.asset_navigations
        };
        assert!(navigations(None, &[]));
        assert!(navigations(Some("2025-04-01"), &[]));
        assert!(!navigations(Some("2025-03-31"), &[]));
        let (on, off) = (
            "assets_navigation_prefers_asset_serving",
            "assets_navigation_has_no_effect",
        );
        assert!(navigations(Some("2025-03-31"), &[on]));
        assert!(!navigations(Some("2025-04-01"), &[off]));
        assert!(!navigations(Some("2025-04-01"), &[on, off]));
    }

    #[test]
    fn flags_without_effect_are_issues() {
        let issues = |flags: &[&str]| Compatibility::resolve(None, flags).1;
        assert_eq!(issues(&["nodejs_compat", "url_standard", "global_navigator"]), []);
        let unknown = |flag: &str, near| FlagIssue::Unknown {
            flag: flag.to_owned(),
            near,
        };
        assert_eq!(
            issues(&["nodejs_compatt"]),
            [unknown("nodejs_compatt", Some("nodejs_compat"))]
        );
        assert_eq!(issues(&["zzz"]), [unknown("zzz", None)]);
        assert!(matches!(&issues(&["url_original"])[..], [FlagIssue::NoEffect { flag, .. }] if flag == "url_original"));
        let both = FlagIssue::Contradiction {
            on: "nodejs_als",
            off: "no_nodejs_als",
        };
        assert_eq!(issues(&["nodejs_als", "no_nodejs_als"]), [both]);
    }
}
