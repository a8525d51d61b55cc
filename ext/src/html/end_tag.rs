//! End tags. `lol_html` calls their handlers without access to the coroutine.
//!
//! Such a handler therefore puts a marker before and after its tag. When the coroutine reads the first marker in the output,
//! it calls the script's handler, and applies its operations to the bytes up to the second marker. Markers are random, so
//! that no other output is taken for one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use encoding_rs::Encoding;
use lol_html::HandlerResult;
use lol_html::html_content::{ContentType, Element, EndTag};

use super::act::{Act, Answer, Unit, Verb, not_for};
use crate::ledger::Charge;

/// The end tags whose handlers were not called yet, in the order of their markers.
pub(super) struct EndTags {
    begin: String,
    end: String,
    waiting: RefCell<VecDeque<(u32, String)>>,
}

impl EndTags {
    pub(super) fn new() -> Rc<Self> {
        let random = fastrand::u128(..);
        Rc::new(Self {
            begin: format!("<{random:032x}>"),
            end: format!("</{random:032x}>"),
            waiting: RefCell::default(),
        })
    }

    /// Registers a handler for the end tag of an element.
    pub(super) fn register(self: &Rc<Self>, element: &mut Element<'_, '_>, handler: u32) -> HandlerResult {
        let tags = self.clone();
        element.on_end_tag(Box::new(move |tag: &mut EndTag<'_>| {
            tags.waiting.borrow_mut().push_back((handler, tag.name()));
            tag.before(&tags.begin, ContentType::Html);
            tag.after(&tags.end, ContentType::Html);
            Ok(())
        }))
    }

    /// Returns the tag that a chunk of the output announces, with the number of its handler.
    pub(super) fn begun(&self, chunk: &[u8]) -> Option<(u32, OpenTag)> {
        if chunk != self.begin.as_bytes() {
            return None;
        }
        let (handler, name) = self.waiting.borrow_mut().pop_front()?;
        let tag = OpenTag {
            name,
            ..OpenTag::default()
        };
        Some((handler, tag))
    }

    pub(super) fn is_end(&self, chunk: &[u8]) -> bool {
        chunk == self.end.as_bytes()
    }
}

/// An end tag after the call of its handler.
#[derive(Default)]
pub(super) struct OpenTag {
    name: String,
    is_renamed: bool,
    is_removed: bool,
    before: Vec<(String, bool)>,
    after: Vec<(String, bool)>,
    charges: Vec<Charge>,
    /// The bytes between the markers.
    pub(super) raw: Vec<u8>,
}

impl OpenTag {
    /// Returns the bytes that replace it.
    pub(super) fn written(self, encoding: &'static Encoding) -> Vec<u8> {
        let mut written = Vec::new();
        for (text, is_html) in &self.before {
            write(&mut written, text, *is_html, encoding);
        }
        match () {
            () if self.is_removed || self.raw.is_empty() => {}
            () if self.is_renamed => write(&mut written, &format!("</{}>", self.name), true, encoding),
            () => written.extend_from_slice(&self.raw),
        }
        // The last insertion is next to the tag.
        for (text, is_html) in self.after.iter().rev() {
            write(&mut written, text, *is_html, encoding);
        }
        written
    }
}

fn write(output: &mut Vec<u8>, text: &str, is_html: bool, encoding: &'static Encoding) {
    if is_html {
        output.extend_from_slice(&encoding.encode(text).0);
        return;
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    output.extend_from_slice(&encoding.encode(&escaped).0);
}

impl Unit for OpenTag {
    fn act(&mut self, act: &mut Act) -> Answer {
        self.charges.extend(act.charge.take());
        let text = std::mem::take(&mut act.one);
        match act.verb {
            Verb::Before => self.before.push((text, act.is_html)),
            Verb::After => self.after.push((text, act.is_html)),
            Verb::Remove => self.is_removed = true,
            Verb::Name => return Answer::Text(self.name.clone()),
            Verb::SetName if is_name(&text) => {
                self.name = text;
                self.is_renamed = true;
            }
            Verb::SetName => return Answer::Refused(format!("'{text}' cannot be the name of a tag")),
            _ => return not_for("an end tag"),
        }
        Answer::Nothing
    }
}

/// As in <https://html.spec.whatwg.org/multipage/parsing.html#tag-open-state>.
fn is_name(name: &str) -> bool {
    let ends_name = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>' | b'\0');
    name.starts_with(|first: char| first.is_ascii_alphabetic()) && !name.bytes().any(ends_name)
}
