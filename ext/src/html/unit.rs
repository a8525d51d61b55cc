//! The operations of a handler on each kind of token.

use std::rc::Rc;

use lol_html::html_content::{
    Comment, ContentType, Doctype, DocumentEnd, Element, StreamingHandler, StreamingHandlerSink, TextChunk,
};

use super::act::{Act, Answer, Unit, Verb, done, not_for};
use super::end_tag::EndTags;
use crate::ledger::Charge;

/// Performs an operation without a value.
macro_rules! nothing {
    ($act:expr) => {{
        $act;
        Answer::Nothing
    }};
}

/// Creates content that is charged until it is written.
fn content(act: Act) -> Box<dyn StreamingHandler + Send> {
    let Act {
        one, is_html, charge, ..
    } = act;
    let kind = if is_html { ContentType::Html } else { ContentType::Text };
    Box::new(move |sink: &mut StreamingHandlerSink<'_>| {
        sink.write_str(&one, kind);
        drop(charge);
        Ok(())
    })
}

/// An element, and the registry of its end tags.
pub(super) struct ElementUnit<'a, 'r, 't> {
    pub(super) element: &'a mut Element<'r, 't>,
    pub(super) end_tags: &'a Rc<EndTags>,
}

impl Unit for ElementUnit<'_, '_, '_> {
    fn act(&mut self, act: Act) -> (Answer, Option<Charge>) {
        let element = &mut *self.element;
        let answer = match act.verb {
            Verb::Before => return (nothing!(element.streaming_before(content(act))), None),
            Verb::After => return (nothing!(element.streaming_after(content(act))), None),
            Verb::Replace => return (nothing!(element.streaming_replace(content(act))), None),
            Verb::Prepend => return (nothing!(element.streaming_prepend(content(act))), None),
            Verb::Append => return (nothing!(element.streaming_append(content(act))), None),
            Verb::SetInnerContent => return (nothing!(element.streaming_set_inner_content(content(act))), None),
            Verb::Remove => nothing!(element.remove()),
            Verb::RemoveAndKeepContent => nothing!(element.remove_and_keep_content()),
            Verb::Removed => Answer::Bool(element.removed()),
            Verb::Name => Answer::Text(element.tag_name()),
            Verb::SetName => done(element.set_tag_name(&act.one)),
            Verb::Attributes => {
                let attributes = element.attributes().iter();
                Answer::Pairs(
                    attributes
                        .map(|attribute| (attribute.name(), attribute.value()))
                        .collect(),
                )
            }
            Verb::Attribute => element.get_attribute(&act.one).into(),
            Verb::HasAttribute => Answer::Bool(element.has_attribute(&act.one)),
            Verb::SetAttribute => done(element.set_attribute(&act.one, &act.other)),
            Verb::RemoveAttribute => nothing!(element.remove_attribute(&act.one)),
            Verb::Namespace => Answer::Text(element.namespace_uri().to_owned()),
            Verb::OnEndTag => match act.one.parse() {
                Ok(handler) => done(self.end_tags.register(element, handler)),
                Err(_) => not_for("an element"),
            },
            _ => not_for("an element"),
        };
        (answer, Some(act.charge))
    }
}

impl Unit for Comment<'_> {
    fn act(&mut self, act: Act) -> (Answer, Option<Charge>) {
        let answer = match act.verb {
            Verb::Before => return (nothing!(self.streaming_before(content(act))), None),
            Verb::After => return (nothing!(self.streaming_after(content(act))), None),
            Verb::Replace => return (nothing!(self.streaming_replace(content(act))), None),
            Verb::Remove => nothing!(self.remove()),
            Verb::Removed => Answer::Bool(self.removed()),
            Verb::Text => Answer::Text(self.text()),
            Verb::SetText => done(self.set_text(&act.one)),
            _ => not_for("a comment"),
        };
        (answer, Some(act.charge))
    }
}

impl Unit for TextChunk<'_> {
    fn act(&mut self, act: Act) -> (Answer, Option<Charge>) {
        let answer = match act.verb {
            Verb::Before => return (nothing!(self.streaming_before(content(act))), None),
            Verb::After => return (nothing!(self.streaming_after(content(act))), None),
            Verb::Replace => return (nothing!(self.streaming_replace(content(act))), None),
            Verb::Remove => nothing!(self.remove()),
            Verb::Removed => Answer::Bool(self.removed()),
            Verb::Text => Answer::Text(self.as_str().to_owned()),
            Verb::IsLast => Answer::Bool(self.last_in_text_node()),
            _ => not_for("a text chunk"),
        };
        (answer, Some(act.charge))
    }
}

impl Unit for Doctype<'_> {
    fn act(&mut self, act: Act) -> (Answer, Option<Charge>) {
        let answer = match act.verb {
            Verb::Remove => nothing!(self.remove()),
            Verb::Name => self.name().into(),
            Verb::PublicId => self.public_id().into(),
            Verb::SystemId => self.system_id().into(),
            _ => not_for("a doctype"),
        };
        (answer, None)
    }
}

impl Unit for DocumentEnd<'_> {
    fn act(&mut self, act: Act) -> (Answer, Option<Charge>) {
        let kind = if act.is_html {
            ContentType::Html
        } else {
            ContentType::Text
        };
        match act.verb {
            // Written at once, so that no charge remains.
            Verb::Append => (nothing!(self.append(&act.one, kind)), None),
            _ => (not_for("the end of a document"), None),
        }
    }
}
