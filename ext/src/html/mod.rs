//! `HTMLRewriter`: <https://developers.cloudflare.com/workers/runtime-apis/html-rewriter/>
//!
//! `lol_html` calls its handlers from within its parser, and a script's handlers may be asynchronous. The rewriter therefore
//! runs as a coroutine with its own stack ([`rewriter`]). At a handler's call it is suspended, and the op returns to
//! JavaScript, which calls the handler, acts on the token ([`act`]) and resumes the coroutine. Tokens stay on that stack: a
//! script has no reference to one, and accesses it through the suspended rewriter. No op blocks, and JavaScript can be
//! interrupted between two slices of the input.

mod act;
mod end_tag;
mod rewriter;
mod selector;
mod unit;

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, Resource, ResourceId, op2};

use self::act::{Act, Answer, Verb};
use self::rewriter::{Handlers, Rewriter, Step};
use self::selector::SelectorError;
use crate::quotas::{QuotaError, Usage};
use crate::unwind;

/// An error of a rewriter.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
enum HtmlError {
    #[class(type)]
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// The token does not support the operation.
    #[class(type)]
    #[error("{0}")]
    Act(String),
    #[class(type)]
    #[error("cannot rewrite HTML in the encoding '{0}': it must contain ASCII")]
    Encoding(String),
    /// The input cannot be rewritten.
    #[class(type)]
    #[error("cannot rewrite the HTML: {0}")]
    Rewrite(String),
    #[class(type)]
    #[error("the rewriter has ended")]
    Ended,
    #[class(generic)]
    #[error("cannot allocate the stack of a rewriter: {0}")]
    Stack(std::io::Error),
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(inherit)]
    #[error(transparent)]
    Resource(#[from] deno_core::error::ResourceError),
    #[class(generic)]
    #[error(transparent)]
    Panicked(#[from] unwind::Panicked),
}

struct RewriterResource(RefCell<Rewriter>);

impl Resource for RewriterResource {}

/// Checks a selector.
#[op2(fast)]
fn op_isopod_html_selector(#[string] text: &str) -> Result<(), HtmlError> {
    unwind::catch(|| selector::parse(text))??;
    Ok(())
}

/// Creates a rewriter. `handlers` lists selectors, or none for the document, with the kinds of tokens.
#[op2]
#[smi]
fn op_isopod_html_new(
    state: &mut OpState,
    #[serde] handlers: Vec<(Option<String>, u32)>,
    #[string] charset: &str,
) -> Result<ResourceId, HtmlError> {
    let usage = Usage::of(state);
    usage.room_for_handle(state)?;
    let handlers = Handlers::new(&handlers)?;
    let encoding = rewriter::encoding(charset).ok_or_else(|| HtmlError::Encoding(charset.to_owned()))?;
    let charge = usage.hold(rewriter::MEMORY_BYTES_MAX)?;
    let rewriter = unwind::catch(|| Rewriter::new(handlers, encoding, charge, usage.ledger()))?;
    let rewriter = rewriter.map_err(HtmlError::Stack)?;
    Ok(state.resource_table.add(RewriterResource(RefCell::new(rewriter))))
}

/// The commands of `op_isopod_html_step`, as numbered in `html_rewriter.js`.
const WRITE: u32 = 0;
const END: u32 = 1;
const HANDLED: u32 = 2;

/// Runs the rewriter until it calls a handler (returns its token kind and number in one), wants more input (-1), or has
/// ended (-2).
#[op2(fast)]
#[number]
fn op_isopod_html_step(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[smi] command: u32,
    #[buffer] chunk: &[u8],
) -> Result<i64, HtmlError> {
    let resource = state.resource_table.get::<RewriterResource>(rid)?;
    let mut rewriter = resource.0.try_borrow_mut().map_err(|_| HtmlError::Ended)?;
    let step = unwind::catch(|| match command {
        WRITE => rewriter.write(chunk.to_vec()),
        END => rewriter.end(),
        HANDLED => rewriter.handled(true),
        _ => rewriter.handled(false),
    })??;
    Ok(match step {
        Step::Call { kind, handler } => i64::from(kind as u32) << 32 | i64::from(handler),
        Step::Wants => -1,
        Step::Ended => -2,
    })
}

/// Returns the number of bytes of pending output.
#[op2(fast)]
#[number]
fn op_isopod_html_waiting(state: &mut OpState, #[smi] rid: ResourceId) -> u64 {
    let resource = state.resource_table.get::<RewriterResource>(rid);
    resource.map_or(0, |rewriter| rewriter.0.borrow().output_length() as u64)
}

/// Moves the pending output into a buffer of its length.
#[op2(fast)]
fn op_isopod_html_take(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[buffer] output: &mut [u8],
) -> Result<(), HtmlError> {
    let resource = state.resource_table.get::<RewriterResource>(rid)?;
    resource.0.borrow_mut().take_output(output);
    Ok(())
}

/// Performs an operation on the token whose handler is running.
#[op2]
#[serde]
fn op_isopod_html_act(
    state: Rc<RefCell<OpState>>,
    #[smi] rid: ResourceId,
    #[smi] verb: u32,
    #[string] one: String,
    #[string] other: String,
    is_html: bool,
) -> Result<Answer, HtmlError> {
    let (resource, usage) = {
        let state = state.borrow();
        (state.resource_table.get::<RewriterResource>(rid)?, Usage::of(&state))
    };
    let act = Act {
        verb: Verb::from_number(verb).ok_or(HtmlError::Ended)?,
        charge: Some(usage.hold(one.len() + other.len())?),
        one,
        other,
        is_html,
    };
    let mut rewriter = resource.0.try_borrow_mut().map_err(|_| HtmlError::Ended)?;
    match unwind::catch(|| rewriter.act(act))?? {
        Answer::Refused(message) => Err(HtmlError::Act(message)),
        answer => Ok(answer),
    }
}

deno_core::extension!(
    isopod_html,
    deps = [deno_web, isopod_fetch],
    ops = [
        op_isopod_html_selector,
        op_isopod_html_new,
        op_isopod_html_step,
        op_isopod_html_waiting,
        op_isopod_html_take,
        op_isopod_html_act,
    ],
    lazy_loaded_js = [dir "src/html", "html_rewriter.js", "tokens.js"],
);
