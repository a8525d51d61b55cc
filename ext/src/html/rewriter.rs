//! A rewriter as a coroutine.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use encoding_rs::{Encoding, UTF_8};
use lol_html::errors::RewritingError;
use lol_html::html_content::{Comment, Doctype, DocumentEnd, Element, TextChunk};
use lol_html::{
    AsciiCompatibleEncoding, DocumentContentHandlers, ElementContentHandlers, HandlerResult, HtmlRewriter,
    MemorySettings, OutputSink, Selector, Settings,
};

use super::HtmlError;
use super::act::{Act, Answer, Unit};
use super::end_tag::{EndTags, OpenTag};
use super::selector::{self, SelectorError};
use super::unit::ElementUnit;
use crate::ledger::{Charge, MemoryLedger};

/// Maximum memory of a rewriter for its input, such as an incomplete token and open elements.
pub(super) const MEMORY_BYTES_MAX: usize = 1 << 20;

/// Size of a rewriter's stack. Its parser does not recurse.
const STACK_BYTES: usize = 256 << 10;

/// The kinds of tokens, as numbered in `html_rewriter.js`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Element = 0,
    Comment = 1,
    Text = 2,
    Doctype = 3,
    End = 4,
    EndTag = 5,
}

/// The handlers of a rewriter.
pub(super) struct Handlers(Vec<(Option<Selector>, u32)>);

impl Handlers {
    pub(super) fn new(given: &[(Option<String>, u32)]) -> Result<Self, SelectorError> {
        let parsed = given.iter().map(|(selector, kinds)| {
            let selector = selector.as_deref().map(selector::parse).transpose()?;
            Ok((selector, *kinds))
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }
}

/// Returns the encoding of a document: UTF-8 unless the label names another. `None` if documents in that encoding cannot be
/// rewritten.
pub(super) fn encoding(label: &str) -> Option<AsciiCompatibleEncoding> {
    let encoding = Encoding::for_label(label.as_bytes()).unwrap_or(UTF_8);
    AsciiCompatibleEncoding::new(encoding)
}

/// The value with which the coroutine is resumed.
enum Input {
    Write(Vec<u8>),
    End,
    Act(Act),
    /// The handler has returned, or thrown.
    Handled(bool),
}

/// The value with which the coroutine is suspended.
enum Output {
    Wants,
    Call { kind: Kind, handler: u32 },
    Answer(Answer),
}

/// The reason why a rewriter is suspended.
pub(super) enum Step {
    Call { kind: Kind, handler: u32 },
    Wants,
    Ended,
}

type Suspends = Yielder<Input, Output>;

/// A rewriter and its pending output.
pub(super) struct Rewriter {
    coroutine: Option<Coroutine<Input, Output, Result<(), RewritingError>>>,
    is_handling: bool,
    output: Rc<RefCell<Vec<u8>>>,
    /// The charge of the output to the worker's memory.
    output_charge: Charge,
    _charge: Charge,
}

impl Rewriter {
    /// Creates a rewriter, which wants input. `charge` covers its memory.
    pub(super) fn new(
        handlers: Handlers,
        encoding: AsciiCompatibleEncoding,
        charge: Charge,
        ledger: &MemoryLedger,
    ) -> io::Result<Self> {
        let output = Rc::<RefCell<Vec<u8>>>::default();
        let written = output.clone();
        let mut coroutine =
            Coroutine::with_stack(DefaultStack::new(STACK_BYTES)?, move |suspends: &Suspends, first| {
                run(suspends, first, handlers, encoding, &written)
            });
        // Runs until it wants its first input.
        let _ = coroutine.resume(Input::Handled(true));
        Ok(Self {
            coroutine: Some(coroutine),
            is_handling: false,
            output,
            output_charge: ledger.charge(0),
            _charge: charge,
        })
    }

    pub(super) fn write(&mut self, chunk: Vec<u8>) -> Result<Step, HtmlError> {
        match self.is_handling {
            true => Err(HtmlError::Ended),
            false => self.step(Input::Write(chunk)),
        }
    }

    pub(super) fn end(&mut self) -> Result<Step, HtmlError> {
        match self.is_handling {
            true => Err(HtmlError::Ended),
            false => self.step(Input::End),
        }
    }

    /// Continues after a handler.
    pub(super) fn handled(&mut self, has_returned: bool) -> Result<Step, HtmlError> {
        match self.is_handling {
            true => self.step(Input::Handled(has_returned)),
            false => Err(HtmlError::Ended),
        }
    }

    fn step(&mut self, input: Input) -> Result<Step, HtmlError> {
        let coroutine = self.coroutine.as_mut().ok_or(HtmlError::Ended)?;
        let result = coroutine.resume(input);
        self.output_charge.resize(self.output.borrow().len());
        let step = match result {
            CoroutineResult::Yield(Output::Call { kind, handler }) => Step::Call { kind, handler },
            CoroutineResult::Yield(Output::Wants | Output::Answer(_)) => Step::Wants,
            CoroutineResult::Return(result) => {
                self.coroutine = None;
                result.map_err(|error| HtmlError::Rewrite(reason(&error)))?;
                Step::Ended
            }
        };
        self.is_handling = matches!(step, Step::Call { .. });
        Ok(step)
    }

    /// Performs an operation on the token whose handler is running.
    pub(super) fn act(&mut self, act: Act) -> Result<Answer, HtmlError> {
        let coroutine = self.coroutine.as_mut().filter(|_| self.is_handling);
        match coroutine.ok_or(HtmlError::Ended)?.resume(Input::Act(act)) {
            CoroutineResult::Yield(Output::Answer(answer)) => Ok(answer),
            _ => Err(HtmlError::Ended),
        }
    }

    pub(super) fn output_length(&self) -> usize {
        self.output.borrow().len()
    }

    /// Moves the output into a buffer of its length.
    pub(super) fn take_output(&mut self, buffer: &mut [u8]) {
        let mut output = self.output.borrow_mut();
        let length = output.len().min(buffer.len());
        buffer[..length].copy_from_slice(&output[..length]);
        output.drain(..length);
        // A large buffer is not kept, because large tokens are rare.
        output.shrink_to(MEMORY_BYTES_MAX / 16);
        self.output_charge.resize(output.len());
    }
}

fn reason(error: &RewritingError) -> String {
    match error {
        RewritingError::MemoryLimitExceeded(_) => {
            format!("a tag, a comment or the open elements are larger than {MEMORY_BYTES_MAX} bytes")
        }
        error => error.to_string(),
    }
}

/// Runs a rewriter to its end, in the coroutine.
fn run(
    suspends: &Suspends,
    _first: Input,
    handlers: Handlers,
    encoding: AsciiCompatibleEncoding,
    output: &RefCell<Vec<u8>>,
) -> Result<(), RewritingError> {
    let end_tags = EndTags::new();
    // An end tag's handler has thrown, which a sink cannot report to the rewriter.
    let has_failed = Cell::new(false);
    let sink = Sink {
        suspends,
        output,
        end_tags: &end_tags,
        open: None,
        encoding: encoding.into(),
        has_failed: &has_failed,
    };
    let mut rewriter = HtmlRewriter::new(settings(suspends, &handlers, encoding, &end_tags), sink);
    let failed = || RewritingError::ContentHandlerError("a handler has thrown".into());
    loop {
        match suspends.suspend(Output::Wants) {
            Input::Write(chunk) => rewriter.write(&chunk)?,
            Input::End => {
                rewriter.end()?;
                return if has_failed.get() { Err(failed()) } else { Ok(()) };
            }
            Input::Act(_) | Input::Handled(_) => {}
        }
        if has_failed.get() {
            return Err(failed());
        }
    }
}

fn settings<'a>(
    suspends: &'a Suspends,
    handlers: &'a Handlers,
    encoding: AsciiCompatibleEncoding,
    end_tags: &'a Rc<EndTags>,
) -> Settings<'a, 'a> {
    let memory = MemorySettings::new().with_max_allowed_memory_usage(MEMORY_BYTES_MAX);
    let mut settings = Settings::new()
        .with_encoding(encoding)
        .with_memory_settings(memory)
        // As on Workers, text in ambiguous places does not fail the rewriting.
        .with_strict(false);
    for ((selector, kinds), number) in handlers.0.iter().zip(0_u32..) {
        let has = |kind: Kind| kinds & (1 << kind as u32) != 0;
        if let Some(selector) = selector {
            let mut on = ElementContentHandlers::default();
            if has(Kind::Element) {
                on = on.element(move |element: &mut Element<'_, '_>| {
                    call(suspends, Kind::Element, number, &mut ElementUnit { element, end_tags })
                });
            }
            if has(Kind::Comment) {
                on = on.comments(move |comment: &mut Comment<'_>| call(suspends, Kind::Comment, number, comment));
            }
            if has(Kind::Text) {
                on = on.text(move |text: &mut TextChunk<'_>| call(suspends, Kind::Text, number, text));
            }
            settings = settings.append_element_content_handler((std::borrow::Cow::Borrowed(selector), on));
        } else {
            let mut on = DocumentContentHandlers::default();
            if has(Kind::Doctype) {
                on = on.doctype(move |doctype: &mut Doctype<'_>| call(suspends, Kind::Doctype, number, doctype));
            }
            if has(Kind::Comment) {
                on = on.comments(move |comment: &mut Comment<'_>| call(suspends, Kind::Comment, number, comment));
            }
            if has(Kind::Text) {
                on = on.text(move |text: &mut TextChunk<'_>| call(suspends, Kind::Text, number, text));
            }
            if has(Kind::End) {
                on = on.end(move |end: &mut DocumentEnd<'_>| call(suspends, Kind::End, number, end));
            }
            settings = settings.append_document_content_handler(on);
        }
    }
    settings
}

/// Calls a handler of the script, and performs its operations on the token until it returns.
fn call(suspends: &Suspends, kind: Kind, handler: u32, unit: &mut impl Unit) -> HandlerResult {
    // Kept until the token is written.
    let mut charges = Vec::new();
    let mut input = suspends.suspend(Output::Call { kind, handler });
    loop {
        input = match input {
            Input::Act(mut act) => {
                let answer = unit.act(&mut act);
                charges.extend(act.charge.filter(|charge| charge.bytes() > 0));
                suspends.suspend(Output::Answer(answer))
            }
            Input::Handled(true) => return Ok(()),
            Input::Handled(false) | Input::Write(_) | Input::End => return Err("a handler has thrown".into()),
        };
    }
}

/// Receives the output, and calls the handlers of end tags in it.
struct Sink<'a> {
    suspends: &'a Suspends,
    output: &'a RefCell<Vec<u8>>,
    end_tags: &'a EndTags,
    /// The end tag that is being written, and the number of its open markers.
    open: Option<(OpenTag, usize)>,
    encoding: &'static Encoding,
    has_failed: &'a Cell<bool>,
}

impl Sink<'_> {
    fn write(&mut self, bytes: &[u8]) {
        match &mut self.open {
            Some((tag, _)) => tag.raw.extend_from_slice(bytes),
            None => self.output.borrow_mut().extend_from_slice(bytes),
        }
    }
}

impl OutputSink for Sink<'_> {
    fn handle_chunk(&mut self, chunk: &[u8]) {
        if let Some((handler, tag)) = self.end_tags.begun(chunk) {
            // The tag may have several handlers.
            let (mut tag, depth) = self.open.take().unwrap_or((tag, 0));
            if !self.has_failed.get() && call(self.suspends, Kind::EndTag, handler, &mut tag).is_err() {
                self.has_failed.set(true);
            }
            self.open = Some((tag, depth + 1));
        } else if self.end_tags.is_end(chunk) {
            match self.open.take() {
                Some((tag, 1)) => self.write(&tag.written(self.encoding)),
                Some((tag, depth)) => self.open = Some((tag, depth - 1)),
                None => {}
            }
        } else {
            self.write(chunk);
        }
    }
}
