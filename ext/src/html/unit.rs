//! The operations of a handler on each kind of token.

use std::rc::Rc;

use lol_html::html_content::{
    Comment, ContentType, Doctype, DocumentEnd, Element, StreamingHandler, StreamingHandlerSink, TextChunk,
};

use super::act::{Act, Answer, Unit, Verb, done, not_for};
use super::end_tag::EndTags;

/// Performs an operation without a value.
macro_rules! nothing {
    ($act:expr) => {{
        $act;
        Answer::Nothing
    }};
}

/// The content of an operation, which is charged until it is written.
fn content(act: &mut Act) -> Box<dyn StreamingHandler + Send> {
    let (text, kind, charge) = (std::mem::take(&mut act.one), kind_of(act), act.charge.take());
    Box::new(move |sink: &mut StreamingHandlerSink<'_>| {
        sink.write_str(&text, kind);
        drop(charge);
        Ok(())
    })
}

const fn kind_of(act: &Act) -> ContentType {
    match act.is_html {
        true => ContentType::Html,
        false => ContentType::Text,
    }
}

/// An element, and the registry of its end tags.
pub(super) struct ElementUnit<'a, 'r, 't> {
    pub(super) element: &'a mut Element<'r, 't>,
    pub(super) end_tags: &'a Rc<EndTags>,
}

impl Unit for ElementUnit<'_, '_, '_> {
    fn act(&mut self, act: &mut Act) -> Answer {
        let element = &mut *self.element;
        match act.verb {
            Verb::Before => nothing!(element.streaming_before(content(act))),
            Verb::After => nothing!(element.streaming_after(content(act))),
            Verb::Replace => nothing!(element.streaming_replace(content(act))),
            Verb::Prepend => nothing!(element.streaming_prepend(content(act))),
            Verb::Append => nothing!(element.streaming_append(content(act))),
            Verb::SetInnerContent => nothing!(element.streaming_set_inner_content(content(act))),
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
        }
    }
}

impl Unit for Comment<'_> {
    fn act(&mut self, act: &mut Act) -> Answer {
        match act.verb {
            Verb::Before => nothing!(self.streaming_before(content(act))),
            Verb::After => nothing!(self.streaming_after(content(act))),
            Verb::Replace => nothing!(self.streaming_replace(content(act))),
            Verb::Remove => nothing!(self.remove()),
            Verb::Removed => Answer::Bool(self.removed()),
            Verb::Text => Answer::Text(self.text()),
            Verb::SetText => done(self.set_text(&act.one)),
            _ => not_for("a comment"),
        }
    }
}

impl Unit for TextChunk<'_> {
    fn act(&mut self, act: &mut Act) -> Answer {
        match act.verb {
            Verb::Before => nothing!(self.streaming_before(content(act))),
            Verb::After => nothing!(self.streaming_after(content(act))),
            Verb::Replace => nothing!(self.streaming_replace(content(act))),
            Verb::Remove => nothing!(self.remove()),
            Verb::Removed => Answer::Bool(self.removed()),
            Verb::Text => Answer::Text(self.as_str().to_owned()),
            Verb::IsLast => Answer::Bool(self.last_in_text_node()),
            _ => not_for("a text chunk"),
        }
    }
}

impl Unit for Doctype<'_> {
    fn act(&mut self, act: &mut Act) -> Answer {
        match act.verb {
            Verb::Remove => nothing!(self.remove()),
            Verb::Name => self.name().into(),
            Verb::PublicId => self.public_id().into(),
            Verb::SystemId => self.system_id().into(),
            _ => not_for("a doctype"),
        }
    }
}

impl Unit for DocumentEnd<'_> {
    fn act(&mut self, act: &mut Act) -> Answer {
        match act.verb {
            Verb::Append => {
                self.append(&act.one, kind_of(act));
                // It is written.
                act.charge = None;
                Answer::Nothing
            }
            _ => not_for("the end of a document"),
        }
    }
}
