//! Source maps: from a position in running code to the original source.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oxc_sourcemap::SourceMap;
use url::Url;

use super::error::Importer;
use super::kind::RequestedType;
use super::sources::Sources;

/// A position in an original source. Line and column count from 1; the column is in UTF-16 units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalPosition {
    /// The source's URL, or its name in the map if that is not a URL.
    pub source: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// The source's text, if known.
    pub text: Option<Arc<str>>,
}

/// Source maps of a script version's modules, shared by its threads. A map is parsed on first use.
pub struct SourceMaps {
    sources: Arc<Sources>,
    maps: Mutex<HashMap<Url, Arc<Entry>>>,
}

struct Entry {
    origin: Origin,
    parsed: OnceLock<Option<SourceMap<'static>>>,
}

#[derive(PartialEq, Eq)]
enum Origin {
    Transpiled {
        map: Arc<[u8]>,
        original: Arc<str>,
    },
    /// The content of a `//# sourceMappingURL=` comment, as a range of the code, because it may be a megabyte of
    /// base64.
    Comment {
        code: Arc<str>,
        reference: Range<usize>,
    },
}

impl SourceMaps {
    pub(super) fn new(sources: Arc<Sources>) -> Self {
        Self {
            sources,
            maps: Mutex::default(),
        }
    }

    pub(super) fn add_transpiled(&self, url: &Url, map: Arc<[u8]>, original: Arc<str>) {
        self.add(url, Origin::Transpiled { map, original });
    }

    /// Records JavaScript that refers to a source map.
    pub(super) fn add_javascript(&self, url: &Url, code: &Arc<str>) {
        if let Some(reference) = mapping_comment(code) {
            self.add(
                url,
                Origin::Comment {
                    code: Arc::clone(code),
                    reference,
                },
            );
        }
    }

    fn add(&self, url: &Url, origin: Origin) {
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        // Every isolate of the script loads the same modules; parsed maps are kept.
        if maps.get(url).is_none_or(|known| known.origin != origin) {
            maps.insert(
                url.clone(),
                Arc::new(Entry {
                    origin,
                    parsed: OnceLock::new(),
                }),
            );
        }
    }

    /// The original position of a position in code. Line and column count from 1, the column in UTF-16 units, as in
    /// V8's stack frames. `None` if the module has no map, or the map no entry.
    #[must_use]
    pub fn original_position(&self, url: &Url, line: u32, column: u32) -> Option<OriginalPosition> {
        let entry = Arc::clone(self.maps.lock().unwrap_or_else(PoisonError::into_inner).get(url)?);
        let map = entry.parsed.get_or_init(|| self.parse(url, &entry.origin)).as_ref()?;
        let token = find(map, line.checked_sub(1)?, column.checked_sub(1)?)?;
        let source = token.get_source_id()?;
        let name = map.get_source(source)?;
        let text = match &entry.origin {
            Origin::Transpiled { original, .. } => Some(Arc::clone(original)),
            Origin::Comment { .. } => map.get_source_content(source).map(Arc::from),
        };
        Some(OriginalPosition {
            source: self.source_url(url, &entry.origin, map.get_source_root(), name),
            line: token.get_src_line().saturating_add(1),
            column: token.get_src_col().saturating_add(1),
            text,
        })
    }

    fn parse(&self, url: &Url, origin: &Origin) -> Option<SourceMap<'static>> {
        let json = match origin {
            Origin::Transpiled { map, .. } => Arc::clone(map),
            Origin::Comment { code, reference } => self.referenced(url, &code[reference.clone()])?,
        };
        let text = std::str::from_utf8(&json).ok()?;
        match SourceMap::from_json_string(text) {
            Ok(map) => Some(map.into_owned()),
            Err(error) => {
                // An invalid map only affects stack traces.
                tracing::debug!(module = %url, %error, "cannot parse a source map");
                None
            }
        }
    }

    fn referenced(&self, url: &Url, reference: &str) -> Option<Arc<[u8]>> {
        let Some(data) = reference.strip_prefix("data:") else {
            // A map next to the code is subject to the same rules as other files: folders and size. Its content appears
            // in stack traces, so files with other names are rejected.
            let map = url.join(reference).ok()?;
            let is_map = map.path().ends_with(".map");
            return is_map
                .then(|| {
                    self.sources
                        .read(&map, RequestedType::Unspecified, &Importer::new(url))
                        .ok()
                })
                .flatten();
        };
        let (about, body) = data.split_once(',')?;
        if about.split(';').any(|part| part == "base64") {
            STANDARD.decode(body).ok().map(Arc::from)
        } else {
            Some(percent_encoding::percent_decode_str(body).collect::<Vec<u8>>().into())
        }
    }

    fn source_url(&self, url: &Url, origin: &Origin, root: Option<&str>, name: &str) -> String {
        // Names are relative to the map: the file named in the comment, or the code itself.
        let base = match origin {
            Origin::Comment { code, reference } if !code[reference.clone()].starts_with("data:") => {
                url.join(&code[reference.clone()]).unwrap_or_else(|_| url.clone())
            }
            _ => url.clone(),
        };
        let name = match root.filter(|root| !root.is_empty()) {
            Some(root) => format!("{}/{name}", root.trim_end_matches('/')),
            None => name.to_owned(),
        };
        base.join(&name).map_or(name, String::from)
    }
}

/// The last mapping on the line at or before the column. Mappings are in the order of the generated code.
fn find(map: &SourceMap<'_>, line: u32, column: u32) -> Option<oxc_sourcemap::Token> {
    let (mut low, mut high) = (0, u32::try_from(map.get_tokens().len()).ok()?);
    while low < high {
        let middle = low + (high - low) / 2;
        let token = map.get_token(middle)?;
        if (token.get_dst_line(), token.get_dst_col()) <= (line, column) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    map.get_token(low.checked_sub(1)?)
        .filter(|token| token.get_dst_line() == line)
}

/// The content of the last `//# sourceMappingURL=` comment, if only blank lines follow.
fn mapping_comment(code: &str) -> Option<Range<usize>> {
    const MARK: &str = "//# sourceMappingURL=";
    let start = code.rfind(MARK)? + MARK.len();
    let rest = &code[start..];
    let reference = rest.lines().next().unwrap_or_default().trim_end();
    let blank_after = rest[reference.len()..].trim().is_empty();
    (!reference.is_empty() && blank_after).then(|| start..start + reference.len())
}
