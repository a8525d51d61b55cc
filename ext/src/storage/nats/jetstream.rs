//! The connection to a server, and requests to JetStream.

use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Message, Request, StatusCode};
use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::sync::watch;

use super::place::{Login, Place};
use crate::fetch::tls_config;
use crate::storage::StorageError;
use crate::storage::contact::FirstContact;
use crate::storage::tries::Tried;

/// Time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the answer to a request, after which the operation is retried.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time between two attempts to reconnect.
const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// The oldest version with scheduled messages and atomic batches.
const VERSION: (i64, i64, i64) = (2, 12, 0);

/// A connection, opened on first use.
pub(super) struct Connection {
    place: Place,
    client: FirstContact<Client>,
    jetstream: FirstContact<JetStream>,
    /// Number of times that it was lost.
    lost: watch::Sender<u64>,
}

impl Connection {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            client: FirstContact::default(),
            jetstream: FirstContact::default(),
            lost: watch::Sender::new(0),
        }
    }

    /// Returns the client, connecting on first use. `server` names the server in errors.
    pub(super) async fn client(&self, server: &str) -> Result<Client, StorageError> {
        self.client.get(|| self.connect(server)).await
    }

    /// Returns JetStream, connecting and checking its version on first use.
    pub(super) async fn jetstream(&self, server: &str) -> Result<JetStream, StorageError> {
        self.jetstream.get(|| self.find(server)).await
    }

    /// Asks the server for a sign of life.
    pub(super) async fn reach(&self, server: &str) -> Result<(), StorageError> {
        match self.client(server).await?.connection_state() {
            State::Connected => Ok(()),
            _ => Err(StorageError::Unreachable(format!("{server}: the connection was lost"))),
        }
    }

    async fn connect(&self, server: &str) -> Result<Client, StorageError> {
        let failed = |reason: String| StorageError::Failed(format!("{server}: {reason}"));
        let tls = tls_config(&[]).map_err(|error| failed(error.to_string()))?;
        let lost = self.lost.clone();
        let name = server.to_owned();
        let options = ConnectOptions::new()
            .name("isopod")
            .connection_timeout(CONNECT_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .tls_client_config(tls)
            .reconnect_delay_callback(|tries| {
                let doubled = 1_u64 << tries.min(16);
                Duration::from_millis(doubled).min(RECONNECT_MAX)
            })
            .event_callback(move |event| {
                note(&name, &event);
                if matches!(event, Event::Disconnected | Event::Closed) {
                    lost.send_modify(|count| *count += 1);
                }
                async {}
            });
        let options = match &self.place.login {
            Login::None => options,
            Login::Token(token) => options.token(token.clone()),
            Login::Password(user, password) => options.user_and_password(user.clone(), password.clone()),
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, options.connect(&*self.place.servers)).await;
        match connected {
            Ok(client) => client.map_err(|error| match error.kind() {
                ConnectErrorKind::ServerParse
                | ConnectErrorKind::Authentication
                | ConnectErrorKind::AuthorizationViolation
                | ConnectErrorKind::Tls => failed(error.to_string()),
                // A name may be that of a machine that starts.
                ConnectErrorKind::Dns
                | ConnectErrorKind::TimedOut
                | ConnectErrorKind::Io
                | ConnectErrorKind::MaxReconnects => StorageError::Unreachable(format!("{server}: {error}")),
            }),
            Err(_) => {
                let late = format!("{server} has not answered within {CONNECT_TIMEOUT:?}");
                Err(StorageError::Unreachable(late))
            }
        }
    }

    async fn find(&self, server: &str) -> Result<JetStream, StorageError> {
        let failed = |reason: String| StorageError::Failed(format!("{server}: {reason}"));
        let client = self.client(server).await?;
        let (major, minor, patch) = VERSION;
        if !client.is_server_compatible(major, minor, patch) {
            let version = client.server_info().version;
            return Err(failed(format!(
                "it is version {version}, and queues need {major}.{minor} or later"
            )));
        }
        let jetstream = JetStream(async_nats::jetstream::new(client));
        let account = jetstream.api::<IgnoredAny>("INFO".to_owned(), None).await;
        match account {
            Ok(_) => Ok(jetstream),
            Err(Failed::Lost(_)) => Err(failed(
                "its account has no JetStream; start the server with `-js`, or enable `jetstream` in its configuration"
                    .to_owned(),
            )),
            // It starts, or chooses a leader.
            Err(Failed::Refused(error)) if error.code() == 503 => {
                Err(StorageError::Unreachable(format!("{server}: {error}")))
            }
            Err(error) => Err(error.into_error(server)),
        }
    }

    /// Runs an attempt of an operation until the connection is lost.
    pub(super) async fn unless_lost<T>(&self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let mut lost = self.lost.subscribe();
        tokio::select! {
            biased;
            done = work => done,
            _ = lost.changed() => Err(Failed::Lost("the connection was lost".to_owned())),
        }
    }

    /// Resolves at the next loss of the connection.
    pub(super) async fn lost(&self) {
        // The sender is in `self`.
        let _ = self.lost.subscribe().changed().await;
    }
}

fn note(server: &str, event: &Event) {
    match event {
        Event::Connected => tracing::info!(target: "isopod::storage", "{server}: connected"),
        Event::Disconnected => tracing::warn!(target: "isopod::storage", "{server}: the connection was lost"),
        other => tracing::warn!(target: "isopod::storage", "{server}: {other}"),
    }
}

/// The failure of an attempt.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The connection was lost, or there is no answer.
    Lost(String),
    /// JetStream refuses.
    Refused(jetstream::Error),
    Storage(StorageError),
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Failed {
    /// Returns whether JetStream refused for this reason.
    pub(crate) fn is(&self, code: ErrorCode) -> bool {
        matches!(self, Self::Refused(error) if error.error_code() == code)
    }

    fn into_error(self, server: &str) -> StorageError {
        match self {
            Self::Lost(reason) => StorageError::Failed(format!("{server}: {reason}")),
            Self::Refused(error) => StorageError::Failed(format!("{server}: {error}")),
            Self::Storage(error) => error,
        }
    }

    pub(super) fn tried(self, server: &str) -> Tried {
        match self {
            Self::Lost(reason) => Tried::Lost(reason),
            // It is starting, or electing a leader.
            Self::Refused(error) if error.code() == 503 => Tried::Lost(error.to_string()),
            failed => Tried::Failed(failed.into_error(server)),
        }
    }
}

impl From<StorageError> for Tried {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

/// JetStream on a connection.
#[derive(Clone)]
pub(crate) struct JetStream(Context);

impl JetStream {
    pub(crate) fn client(&self) -> Client {
        self.0.client()
    }

    /// Sends a request of JetStream's interface: <https://docs.nats.io/reference/reference-protocols/nats_api_reference>.
    pub(crate) async fn api<T: DeserializeOwned>(&self, subject: String, payload: Option<Value>) -> Result<T, Failed> {
        // Requests for information have an empty payload.
        let payload = payload.map(|payload| payload.to_string()).unwrap_or_default();
        let request = Request::new().payload(payload.into());
        let answer = self.request(&format!("$JS.API.{subject}"), request).await?;
        read(&answer)
    }

    /// Stores a message, and returns once the server has it.
    pub(crate) async fn publish(&self, subject: &str, request: Request) -> Result<(), Failed> {
        #[derive(serde::Deserialize)]
        struct Stored {
            #[serde(rename = "seq")]
            _sequence: u64,
        }
        let answer = self.request(subject, request).await?;
        read::<Stored>(&answer).map(drop)
    }

    pub(crate) async fn request(&self, subject: &str, request: Request) -> Result<Message, Failed> {
        let sent = self.client().send_request(subject.to_owned(), request).await;
        sent.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut => Failed::Lost(format!("no answer within {REQUEST_TIMEOUT:?}")),
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                StorageError::Failed(error.to_string()).into()
            }
            _ => Failed::Lost(error.to_string()),
        })
    }

    /// Converts a message from JetStream.
    pub(crate) fn given(&self, message: Message) -> jetstream::Message {
        let context = self.0.clone();
        jetstream::Message { message, context }
    }

    /// Sends a message without an answer.
    pub(crate) async fn tell(&self, subject: String, payload: Bytes) -> Result<(), Failed> {
        let told = self.client().publish(subject, payload).await;
        told.map_err(|error| Failed::Lost(error.to_string()))
    }

    /// Sends a request that is answered by several messages, of which the last has a status. Returns the earlier ones.
    pub(crate) async fn answers(
        &self,
        subject: String,
        payload: Bytes,
        at_most: usize,
    ) -> Result<Vec<Message>, Failed> {
        use futures::StreamExt as _;

        let client = self.client();
        let inbox = client.new_inbox();
        let lost = |error: &dyn std::fmt::Display| Failed::Lost(error.to_string());
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| lost(&error))?;
        let request = Request::new().payload(payload).inbox(inbox);
        self.0
            .send_request(subject, request)
            .await
            .map_err(|error| lost(&error))?;
        let mut messages = Vec::new();
        while messages.len() < at_most {
            match tokio::time::timeout(REQUEST_TIMEOUT, answers.next()).await {
                Ok(Some(message)) => match message.status {
                    None | Some(StatusCode::OK) => messages.push(message),
                    Some(StatusCode::NO_RESPONDERS) if messages.is_empty() => {
                        return Err(Failed::Lost("JetStream does not answer".to_owned()));
                    }
                    Some(_) => break,
                },
                // Received messages are kept.
                Ok(None) | Err(_) if !messages.is_empty() => break,
                Ok(None) => return Err(Failed::Lost("the connection was closed".to_owned())),
                Err(_) => return Err(Failed::Lost(format!("no answer within {REQUEST_TIMEOUT:?}"))),
            }
        }
        Ok(messages)
    }
}

/// Parses an answer of JetStream.
fn read<T: DeserializeOwned>(answer: &Message) -> Result<T, Failed> {
    match serde_json::from_slice(&answer.payload) {
        Ok(Response::Ok(answer)) => Ok(answer),
        Ok(Response::Err { error }) => Err(Failed::Refused(error)),
        Err(error) => Err(Failed::Lost(format!("an answer cannot be read: {error}"))),
    }
}
