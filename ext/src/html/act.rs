//! Operations of a script on the token whose handler runs.

use serde::Serialize;

use crate::ledger::Charge;

macro_rules! verbs {
    ($($verb:ident = $number:literal,)*) => {
        /// The verbs of `op_isopod_html_act`, as numbered in `tokens.js`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Verb {
            $($verb = $number,)*
        }

        impl Verb {
            pub(super) fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$verb),)*
                    _ => None,
                }
            }
        }
    };
}

verbs! {
    Before = 0,
    After = 1,
    Replace = 2,
    Remove = 3,
    Removed = 4,
    Prepend = 5,
    Append = 6,
    SetInnerContent = 7,
    RemoveAndKeepContent = 8,
    Name = 9,
    SetName = 10,
    Attributes = 11,
    Attribute = 12,
    HasAttribute = 13,
    SetAttribute = 14,
    RemoveAttribute = 15,
    Namespace = 16,
    OnEndTag = 17,
    Text = 18,
    SetText = 19,
    IsLast = 20,
    PublicId = 21,
    SystemId = 22,
}

/// An operation. Its content is charged to the worker's memory until its token is written, unless the unit takes the charge.
pub(super) struct Act {
    pub(super) verb: Verb,
    pub(super) one: String,
    pub(super) other: String,
    pub(super) is_html: bool,
    pub(super) charge: Option<Charge>,
}

/// The result of an operation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Nothing,
    Bool(bool),
    Text(String),
    Pairs(Vec<(String, String)>),
    /// An error, with its message.
    Refused(String),
}

impl From<Option<String>> for Answer {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
}

/// A result without a value.
pub(super) fn done<E: ToString>(result: Result<(), E>) -> Answer {
    result.map_or_else(|error| Answer::Refused(error.to_string()), |()| Answer::Nothing)
}

/// Refuses a verb that a token does not support.
pub(super) fn not_for(token: &str) -> Answer {
    Answer::Refused(format!("{token} does not support this operation"))
}

/// A token whose handler is running.
pub(super) trait Unit {
    fn act(&mut self, act: &mut Act) -> Answer;
}
