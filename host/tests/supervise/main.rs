//! Supervision as its users see it.

mod call;
mod group;
mod run;

use isopod_host::supervise::{Supervisor, SupervisorBuilder};
use tokio::runtime::Handle;

/// The handle of the test's runtime.
#[expect(
    clippy::disallowed_methods,
    reason = "the test's own runtime is the one that is meant"
)]
fn here() -> Handle {
    Handle::current()
}

fn builder() -> SupervisorBuilder {
    Supervisor::builder(here())
}

/// Notifies a test when it is dropped.
struct Dropped(flume::Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
