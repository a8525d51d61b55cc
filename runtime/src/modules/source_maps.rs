//! Source maps: from a position in running code to the original source.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oxc_sourcemap::{SourceMap, Token};
use serde::Deserialize;
use url::Url;

use super::error::Importer;
use super::kind::RequestedType;
use super::sources::Sources;

/// Segments of all source maps of a script version. Every worker has them decoded, about 30 bytes each.
const SEGMENTS_MAX: usize = 2_000_000;

/// Source maps of a script version's modules, shared by its threads. A map is parsed on first use.
pub struct SourceMaps {
    sources: Arc<Sources>,
    maps: Mutex<Maps>,
}

#[derive(Default)]
struct Maps {
    of_modules: HashMap<Url, Arc<Entry>>,
    /// The texts of sources that maps contain, by the URL of the source.
    texts: HashMap<String, Arc<str>>,
    /// Segments of the maps that were parsed.
    segments: usize,
}

struct Entry {
    origin: Origin,
    usable: OnceLock<Option<Arc<[u8]>>>,
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
        let maps = &mut self.lock().of_modules;
        // Every isolate of the script loads the same modules; parsed maps are kept.
        if maps.get(url).is_none_or(|known| known.origin != origin) {
            maps.insert(
                url.clone(),
                Arc::new(Entry {
                    origin,
                    usable: OnceLock::new(),
                }),
            );
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source map of a module as JSON, with the URLs of its sources and without their texts. Code that comes from no
    /// source is mapped to itself. `None` if the module has no map, an invalid one, or one that exceeds the limits.
    #[must_use]
    pub fn map_of(&self, url: &Url) -> Option<Arc<[u8]>> {
        let entry = Arc::clone(self.lock().of_modules.get(url)?);
        // Outside of the lock: it may be a megabyte.
        entry.usable.get_or_init(|| self.usable(url, &entry.origin)).clone()
    }

    /// The text of a source, if the source map of a module contains it.
    #[must_use]
    pub fn text_of(&self, source: &str) -> Option<Arc<str>> {
        self.lock().texts.get(source).cloned()
    }

    fn usable(&self, url: &Url, origin: &Origin) -> Option<Arc<[u8]>> {
        let json = match origin {
            Origin::Transpiled { map, .. } => Arc::clone(map),
            Origin::Comment { code, reference } => self.referenced(url, &code[reference.clone()])?,
        };
        let text = std::str::from_utf8(&json).ok()?;
        if !self.has_room(segments(text)?) {
            tracing::debug!(module = %url, "the script's source maps have more than {SEGMENTS_MAX} segments");
            return None;
        }
        if matches!(origin, Origin::Transpiled { .. }) {
            return Some(json);
        }
        match SourceMap::from_json_string(text) {
            Ok(map) => Some(self.with_urls(url, origin, &map).to_json_string().into_bytes().into()),
            Err(error) => {
                // An invalid map only affects stack traces.
                tracing::debug!(module = %url, %error, "cannot parse a source map");
                None
            }
        }
    }

    fn has_room(&self, segments: usize) -> bool {
        let known = &mut self.lock().segments;
        let all = known.saturating_add(segments);
        let has_room = all <= SEGMENTS_MAX;
        if has_room {
            *known = all;
        }
        has_room
    }

    /// Returns a map whose sources are URLs, and keeps their texts.
    fn with_urls(&self, url: &Url, origin: &Origin, map: &SourceMap<'_>) -> SourceMap<'static> {
        let root = map.get_source_root();
        let mut sources: Vec<String> = map
            .get_sources()
            .map(|name| self.source_url(url, origin, root, name))
            .collect();
        let contents = map.get_source_contents();
        for (source, text) in sources.iter().zip(contents) {
            if let Some(text) = text {
                self.lock().texts.insert(source.clone(), text.into());
            }
        }
        let itself = u32::try_from(sources.len()).unwrap_or(u32::MAX);
        sources.push(url.as_str().to_owned());
        let tokens: Vec<Token> = map
            .get_tokens()
            .map(|token| {
                let (line, column) = (token.get_dst_line(), token.get_dst_col());
                // Lines and columns are counted from 1 afterwards.
                let at = |source, line: u32, column: u32| {
                    let last = u32::MAX - 1;
                    Token::new(
                        token.get_dst_line(),
                        token.get_dst_col(),
                        line.min(last),
                        column.min(last),
                        Some(source),
                        None,
                    )
                };
                match token.get_source_id() {
                    Some(source) => at(source, token.get_src_line(), token.get_src_col()),
                    None => at(itself, line, column),
                }
            })
            .collect();
        let sources = sources.into_iter().map(Cow::Owned).collect();
        SourceMap::new(None, Vec::new(), None, sources, Vec::new(), tokens.into(), None)
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

/// The largest number of segments that a map may have. `None` if it is no map.
fn segments(json: &str) -> Option<usize> {
    #[derive(Deserialize)]
    struct Mappings<'a> {
        #[serde(borrow)]
        mappings: Cow<'a, str>,
    }

    let Mappings { mappings } = serde_json::from_str(json).ok()?;
    Some(mappings.bytes().filter(|byte| matches!(byte, b',' | b';')).count() + 1)
}

/// Returns true if the code may have a comment with the place of its source map, as V8 reads it.
pub(crate) fn may_name_map(code: &str) -> bool {
    code.contains("sourceMappingURL=")
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
