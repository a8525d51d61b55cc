//! Errors of `node:dns`.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use hickory_resolver::ResolveError;
use hickory_resolver::proto::ProtoErrorKind;
use hickory_resolver::proto::op::ResponseCode;

use crate::event::EventEnded;
use crate::fetch::Refused;
use crate::io::IoError;
use crate::quotas::QuotaError;
use crate::unwind::Panicked;

/// An error of a DNS query.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(in crate::sockets) enum DnsError {
    /// There is no answer.
    #[class(inherit)]
    #[error(transparent)]
    Failed(#[from] DnsFailed),
    /// The guard refused all addresses of the name.
    #[class(type)]
    #[error("{0} has no address that the network policy of this worker permits")]
    Withheld(String),
    /// The guard refused the name.
    #[class(type)]
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The event or its worker has reached a quota.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The event has ended.
    #[class(inherit)]
    #[error(transparent)]
    EventEnded(#[from] EventEnded),
    /// The runtime has not placed an `Rc<Io>` in the worker's state.
    #[class(type)]
    #[error("node:dns is not available in this worker: it has no I/O runtime")]
    NoIo,
    /// An error of the I/O runtime.
    #[class(generic)]
    #[error(transparent)]
    Io(#[from] IoError),
    /// A bug in this crate.
    #[class(generic)]
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// A negative answer, or no answer, with a code of Node.js: <https://nodejs.org/api/dns.html#error-codes>
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[class(generic)]
#[property("code" = self.code().into_owned())]
pub(in crate::sockets) enum DnsFailed {
    #[error("'{0}' is not a name")]
    Name(String),
    #[error("'{0}' is not a type of records")]
    Type(String),
    #[error("the host's own resolver provides addresses only")]
    AddressesOnly,
    #[error("there is no such name")]
    NotFound,
    #[error("the name has no such records")]
    NoData,
    #[error("{0}")]
    Lookup(Arc<io::Error>),
    #[error("no name server answered in time")]
    Timeout,
    #[error("the name server failed: {0}")]
    Server(Arc<ResolveError>),
    #[error("the name server refused to answer")]
    ServerRefused,
    #[error("cannot determine the system's name servers: {0}")]
    Client(Arc<ResolveError>),
    /// An error of the process with the network.
    #[error("{message}")]
    Elsewhere { message: String, code: Option<String> },
}

impl DnsFailed {
    pub(super) fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Name(_) => "EBADNAME",
            Self::Type(_) => "EBADQUERY",
            Self::AddressesOnly => "ENOTIMP",
            Self::NotFound | Self::Lookup(_) => "ENOTFOUND",
            Self::NoData => "ENODATA",
            Self::Timeout => "ETIMEOUT",
            Self::Server(_) => "ESERVFAIL",
            Self::ServerRefused => "EREFUSED",
            Self::Client(_) => "ECONNREFUSED",
            Self::Elsewhere { code, .. } => return code.clone().unwrap_or_else(|| "EREFUSED".to_owned()).into(),
        })
    }

    pub(super) fn of(error: ResolveError) -> Self {
        match error.proto().map(|error| error.kind()) {
            Some(ProtoErrorKind::NoRecordsFound { response_code, .. }) => match response_code {
                ResponseCode::NXDomain => Self::NotFound,
                ResponseCode::NoError => Self::NoData,
                ResponseCode::Refused => Self::ServerRefused,
                _ => Self::Server(Arc::new(error)),
            },
            Some(ProtoErrorKind::Timeout) => Self::Timeout,
            _ => Self::Server(Arc::new(error)),
        }
    }
}
