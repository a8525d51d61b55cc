//! The ES module through which other modules import a CommonJS module. Pure.
//!
//! A facade has the URL of its module with a fragment, because it depends on the importer: on its rule for the default
//! export, and on the names that it expects.

use std::collections::BTreeSet;
use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

/// The rule for the default export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::modules) enum Interop {
    /// `module.exports`, as for ES modules in Node.js.
    Node,
    /// `exports.default` if `exports.__esModule` is true, else `module.exports`, as in code of compilers.
    Compiled,
}

/// Maximum length of the names in a URL, in bytes.
const NAMES_BYTES_MAX: usize = 32 << 10;

#[derive(Debug, PartialEq, Eq)]
pub(in crate::modules) struct Facade {
    pub(in crate::modules) interop: Interop,
    /// Names that the importer expects, in addition to those that were found in the module.
    pub(in crate::modules) names: BTreeSet<String>,
}

impl Facade {
    /// Parses a URL's fragment. `None` if it is not one of a facade.
    pub(in crate::modules) fn parse(url: &Url) -> Option<Self> {
        let (interop, names) = url.fragment()?.split_once(':')?;
        let interop = match interop {
            "commonjs-node" => Interop::Node,
            "commonjs" => Interop::Compiled,
            _ => return None,
        };
        let names = names.split(',').filter(|name| !name.is_empty());
        let names = names.map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned());
        Some(Self {
            interop,
            names: names.collect(),
        })
    }

    pub(in crate::modules) fn fragment(&self) -> String {
        let mut fragment = String::from(match self.interop {
            Interop::Node => "commonjs-node:",
            Interop::Compiled => "commonjs:",
        });
        for (index, name) in self.names.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let written = format!("{separator}{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
            // The import of a name beyond that fails, as that of any name that a module does not export.
            if fragment.len() + written.len() > NAMES_BYTES_MAX {
                break;
            }
            fragment.push_str(&written);
        }
        fragment
    }

    /// The facade's code. `names` are those found in the module, `imports` the URLs of the modules that are not CommonJS
    /// and that it, or a module that it requires, may require.
    pub(in crate::modules) fn code(
        &self,
        (filename, url): (&str, &Url),
        names: &BTreeSet<String>,
        imports: &BTreeSet<String>,
        is_main: bool,
    ) -> String {
        let (mut code, list) = imported(imports);
        code.push_str("import { load, read, defaultOf } from \"isopod-internal:commonjs\";\n");
        let (filename, url) = (quoted(filename), quoted(url.as_str()));
        // Writing to a string does not fail.
        let _ = writeln!(code, "const exports = load({filename}, {url}, [{list}], {is_main});");
        let _ = match self.interop {
            Interop::Node => writeln!(code, "export {{ exports as default }};"),
            Interop::Compiled => writeln!(code, "export default defaultOf(exports);"),
        };
        let names = names.iter().filter(|name| *name != "__esModule").chain(&self.names);
        let names: BTreeSet<_> = names.filter(|name| *name != "default").collect();
        for (index, name) in names.into_iter().enumerate() {
            let name = quoted(name);
            let _ = writeln!(
                code,
                "const e{index} = read(exports, {name});\nexport {{ e{index} as {name} }};"
            );
        }
        code
    }
}

/// The fragment of the module whose default export is the `require` function of an ES module.
const REQUIRE: &str = "commonjs-require:";

/// The URL of the module whose default export is an ES module's `require` function.
pub(in crate::modules) fn require_url(file: &Url) -> Url {
    let mut url = file.clone();
    url.set_fragment(Some(REQUIRE));
    url
}

pub(in crate::modules) fn is_require_url(url: &Url) -> bool {
    url.fragment() == Some(REQUIRE)
}

/// The code of the module at [`require_url`].
pub(in crate::modules) fn require_code(file: &Url, imports: &BTreeSet<String>) -> String {
    let (mut code, list) = imported(imports);
    // Writing to a string does not fail.
    let _ = writeln!(
        code,
        "import {{ requireFor }} from \"isopod-internal:commonjs\";\nexport default requireFor({}, [{list}]);",
        quoted(file.as_str())
    );
    code
}

/// The imports of a facade, and the list of URLs and namespaces that it passes on.
fn imported(imports: &BTreeSet<String>) -> (String, String) {
    let (mut code, mut list) = (String::new(), String::new());
    for (index, import) in imports.iter().enumerate() {
        let import = quoted(import);
        let _ = writeln!(code, "import * as m{index} from {import};");
        let _ = write!(list, "{import}, m{index}, ");
    }
    (code, list)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{Facade, Interop};

    #[test]
    fn a_fragment_holds_any_names() {
        let names = ["a", "b-c", "d,e", "é%2C", ":"].map(String::from).into();
        let facade = Facade {
            interop: Interop::Node,
            names,
        };
        let mut url = Url::parse("file:///a.js?v=1").unwrap();
        url.set_fragment(Some(&facade.fragment()));
        assert_eq!(Facade::parse(&url), Some(facade));
        for other in ["file:///a.js", "file:///a.js#x", "file:///a.js#esm:a"] {
            assert_eq!(Facade::parse(&Url::parse(other).unwrap()), None, "{other}");
        }
    }
}
