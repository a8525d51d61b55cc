//! Performs actions: a module for each kind of client, and the code they share.

mod deploy;
mod good;
mod hostile;
mod rude;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::client::{Answer, Connection, Pace};
use crate::plan::{Action, Good, Step};
use crate::project::Project;
use crate::tally::Tally;

/// Time limit for an action, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Maximum number of idle keep-alive connections.
const KEPT_MAX: usize = 64;

/// A description of what went wrong, for the report.
pub(crate) type Wrong = String;

/// The environment of actions.
pub(crate) struct Scene<'a> {
    server: SocketAddr,
    origin: SocketAddr,
    project: &'a Project,
    pub(crate) tally: RefCell<Tally>,
    kept: RefCell<Vec<Connection>>,
    versions: Versions,
}

/// Versions of the repeatedly deployed worker.
#[derive(Default)]
struct Versions {
    /// Held during a deployment.
    deploying: Mutex<()>,
    written: Cell<u64>,
    /// The newest version seen to answer: older ones must not answer any more.
    confirmed: Cell<u64>,
}

/// A request in flight. Dropping it counts it as unanswered.
struct Attempt<'a> {
    tally: &'a RefCell<Tally>,
    settled: bool,
}

impl<'a> Attempt<'a> {
    fn new(tally: &'a RefCell<Tally>) -> Self {
        tally.borrow_mut().sent += 1;
        Self { tally, settled: false }
    }

    fn answered(mut self, answer: &Answer) {
        self.settled = true;
        self.tally.borrow_mut().answer(answer.head.outcome());
    }

    /// The client disconnects.
    fn left(mut self) {
        self.settled = true;
        self.tally.borrow_mut().left += 1;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.tally.borrow_mut().unanswered += 1;
        }
    }
}

impl<'a> Scene<'a> {
    pub(crate) fn new(server: SocketAddr, origin: SocketAddr, project: &'a Project) -> Self {
        Self {
            server,
            origin,
            project,
            tally: RefCell::new(Tally::new()),
            kept: RefCell::default(),
            versions: Versions::default(),
        }
    }

    /// Performs an action.
    pub(crate) async fn perform(&self, step: Step) {
        let result = timeout(PATIENCE, self.act(&step)).await;
        let wrong = match result {
            Ok(Ok(())) => return self.tally.borrow_mut().done(name(&step.action)),
            Ok(Err(wrong)) => wrong,
            Err(_) => format!("not done after {PATIENCE:?}"),
        };
        self.tally.borrow_mut().fault(format!("{step}: {wrong}"));
    }

    async fn act(&self, step: &Step) -> Result<(), Wrong> {
        match step.action {
            Action::Good(good) => good::ask(self, good, step).await,
            Action::Misdeed(path, company) => hostile::commit(self, path, company).await,
            Action::LoseThread => hostile::lose_thread(self).await,
            Action::Burst(requests) => rude::burst(self, requests).await,
            Action::SlowReader(kilobytes) => rude::read_slowly(self, kilobytes).await,
            Action::SlowWriter(pieces) => rude::write_slowly(self, pieces).await,
            Action::Leave(when) => rude::leave(self, when).await,
            Action::Stall(bytes) => rude::stall(self, bytes).await,
            Action::Refused(refusal) => rude::refused(self, refusal).await,
            Action::Deploy => deploy::next_version(self).await,
            Action::DeployBroken => deploy::broken_version(self).await,
        }
    }

    /// Places a worker with its own connection on every thread, as far as one round can.
    pub(crate) async fn spread(&self, threads: usize) -> Result<(), Wrong> {
        let all = (0..threads).map(|_| good::hold(self));
        futures::future::try_join_all(all).await.map(drop)
    }

    /// Closes the keep-alive connections.
    pub(crate) fn close_connections(&self) {
        self.kept.borrow_mut().clear();
    }

    async fn connect(&self, anew: bool) -> Result<Connection, Wrong> {
        let kept = if anew { None } else { self.take_kept() };
        match kept {
            Some(connection) => Ok(connection),
            None => Connection::open(self.server)
                .await
                .map_err(|error| format!("no connection: {error}")),
        }
    }

    fn take_kept(&self) -> Option<Connection> {
        let mut kept = self.kept.borrow_mut();
        kept.retain(Connection::is_fresh);
        kept.pop()
    }

    /// Sends a request and reads the response, after which the connection may be reused.
    async fn ask(&self, request: Vec<u8>, anew: bool) -> Result<Answer, Wrong> {
        let connection = self.connect(anew).await?;
        self.ask_on(connection, &[request], Duration::ZERO, Pace::Full).await
    }

    async fn ask_on(
        &self,
        mut connection: Connection,
        pieces: &[Vec<u8>],
        rest: Duration,
        pace: Pace,
    ) -> Result<Answer, Wrong> {
        let attempt = Attempt::new(&self.tally);
        let answer = connection.exchange(pieces, rest, pace).await;
        let answer = answer.map_err(|error: io::Error| format!("no answer: {error}"))?;
        attempt.answered(&answer);
        let closes = answer.head.header("connection") == Some("close");
        let mut kept = self.kept.borrow_mut();
        if !closes && kept.len() < KEPT_MAX {
            kept.push(connection);
        }
        Ok(answer)
    }

    fn took(&self, kind: &'static str, since: Instant) {
        self.tally.borrow_mut().took(kind, since.elapsed());
    }
}

/// Returns true if the response has this status and outcome.
fn is(answer: &Answer, status: u16, outcome: &str) -> bool {
    (answer.head.status, answer.head.outcome()) == (status, outcome)
}

/// A short description of a response.
fn describe(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.chars().take(300).collect();
    format!("{} {}: {text:?}", answer.head.status, answer.head.outcome())
}

/// Checks for the only correct response.
fn expect(answer: &Answer, body: &[u8]) -> Result<(), Wrong> {
    if is(answer, 200, "ok") && answer.body == body {
        return Ok(());
    }
    Err(format!("wrong answer, {}", describe(answer)))
}

/// The name of an action's kind, for the report.
pub(crate) const fn name(action: &Action) -> &'static str {
    match action {
        Action::Good(good) => name_of_good(*good),
        Action::Misdeed(..) => "misdeed",
        Action::Burst(_) => "burst",
        Action::SlowReader(_) => "slow reader",
        Action::SlowWriter(_) => "slow writer",
        Action::Leave(_) => "leaves",
        Action::Stall(_) => "stalls",
        Action::Refused(_) => "refused",
        Action::Deploy => "deployment",
        Action::DeployBroken => "broken deployment",
        Action::LoseThread => "loses a thread",
    }
}

const fn name_of_good(good: Good) -> &'static str {
    match good {
        Good::Hello => "hello",
        Good::Echo(_) => "JSON",
        Good::Back(_) => "body back",
        Good::Stream(_) => "stream",
        Good::Sql => "SQL",
        Good::Timers(_) => "timers",
        Good::Later => "work after the answer",
        Good::Relay => "subrequests",
        Good::Fresh => "fresh isolate",
        Good::Deployed => "newest version",
        Good::Plain(_) => "plain workers",
    }
}
