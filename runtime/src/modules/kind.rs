//! Determines a module's type from the import attribute, or else from the extension. Pure.

use oxc::span::SourceType;
use serde::{Deserialize, Serialize};
use url::Url;

/// The type of a loaded module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ModuleKind {
    /// An ES module, or the facade of a CommonJS module.
    JavaScript,
    /// Valid JSON; the default export is its value.
    Json,
    /// Text; the default export is a string.
    Text,
    /// Bytes; the default export is a `Uint8Array` with the attribute, an `ArrayBuffer` without.
    Bytes,
    /// WebAssembly; the default export is a `WebAssembly.Module`.
    Wasm,
}

/// The `type` of an import's `with` clause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RequestedType<'a> {
    /// No attribute: the extension decides.
    #[default]
    Unspecified,
    /// `with { type: "json" }`
    Json,
    /// `with { type: "text" }`
    Text,
    /// `with { type: "bytes" }`
    Bytes,
    /// Any other type.
    Other(&'a str),
}

/// A source language that is compiled to JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Dialect {
    Jsx,
    TypeScript,
    Tsx,
}

impl Dialect {
    /// The language, for the parser.
    pub(super) fn source_type(self) -> SourceType {
        match self {
            Self::Jsx => SourceType::jsx(),
            Self::TypeScript => SourceType::ts(),
            Self::Tsx => SourceType::tsx(),
        }
    }

    /// The name of the language, in errors.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Jsx => "JSX",
            Self::TypeScript | Self::Tsx => "TypeScript",
        }
    }
}

/// The module format that a file's extension determines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// ES modules: `.mjs`, `.mts`.
    Module,
    /// CommonJS: `.cjs`, `.cts`.
    CommonJs,
    /// Either: the content decides.
    Unmarked,
}

/// The processing of a module's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    JavaScript(Format),
    Transpile(Dialect, Format),
    Json,
    Text,
    Bytes,
    Wasm,
    Unknown,
}

/// `is_main` is true for the script's main module, which needs no extension.
pub(super) fn treatment(url: &Url, requested: RequestedType<'_>, is_main: bool) -> Treatment {
    match requested {
        RequestedType::Json => Treatment::Json,
        RequestedType::Text => Treatment::Text,
        RequestedType::Bytes => Treatment::Bytes,
        RequestedType::Unspecified | RequestedType::Other(_) => by_extension(url.path(), is_main),
    }
}

fn by_extension(path: &str, is_main: bool) -> Treatment {
    let file = path.rsplit('/').next().unwrap_or_default();
    let Some((_, extension)) = file.rsplit_once('.') else {
        // Main modules without an extension are JavaScript, as in other runtimes. Other such files may contain
        // anything, and the parser's errors would show their lines.
        return if is_main {
            Treatment::JavaScript(Format::Unmarked)
        } else {
            Treatment::Unknown
        };
    };
    match extension.to_ascii_lowercase().as_str() {
        "js" => Treatment::JavaScript(Format::Unmarked),
        "mjs" => Treatment::JavaScript(Format::Module),
        "cjs" => Treatment::JavaScript(Format::CommonJs),
        "jsx" => Treatment::Transpile(Dialect::Jsx, Format::Unmarked),
        "ts" => Treatment::Transpile(Dialect::TypeScript, Format::Unmarked),
        "mts" => Treatment::Transpile(Dialect::TypeScript, Format::Module),
        "cts" => Treatment::Transpile(Dialect::TypeScript, Format::CommonJs),
        "tsx" => Treatment::Transpile(Dialect::Tsx, Format::Unmarked),
        "json" => Treatment::Json,
        "txt" | "html" | "htm" | "sql" | "md" => Treatment::Text,
        "bin" => Treatment::Bytes,
        "wasm" => Treatment::Wasm,
        _ => Treatment::Unknown,
    }
}
