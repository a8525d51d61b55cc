//! What SQLite itself asks before it compiles a statement, a view or a trigger: whether a worker may do that.
//!
//! The check of tokens (`statement.rs`) comes first and has the better messages; this holds for whatever it did not see.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::sql::statement::{FUNCTIONS_DENIED, PRAGMAS, PRAGMAS_READ, VIRTUAL_TABLES};

/// A temporary table of the connection's own: an insert into it makes `last_insert_rowid()` forget the call before.
pub(super) const ROWID_TABLE: &str = "isopod_rowid";

/// The authorizer's state: whether statements are the connection's own, and what was refused last.
#[derive(Clone, Default)]
pub(super) struct Guard(Arc<State>);

#[derive(Default)]
struct State {
    open: AtomicBool,
    refused: Mutex<Option<String>>,
}

impl Guard {
    /// Runs statements of the connection's own, which may do anything.
    pub(super) fn lifted<T>(&self, run: impl FnOnce() -> T) -> T {
        self.0.open.store(true, Ordering::Relaxed);
        let done = run();
        self.0.open.store(false, Ordering::Relaxed);
        done
    }

    /// What was refused since the last call.
    pub(super) fn take_refused(&self) -> Option<String> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn ask(&self, context: AuthContext<'_>) -> Authorization {
        if self.0.open.load(Ordering::Relaxed) {
            return Authorization::Allow;
        }
        let Some(refused) = refused(context.action) else {
            return Authorization::Allow;
        };
        *self.0.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
        Authorization::Deny
    }
}

/// What a worker may not do of this.
fn refused(action: AuthAction<'_>) -> Option<String> {
    let listed = |list: &[&str], name: &str| list.iter().any(|listed| listed.eq_ignore_ascii_case(name));
    match action {
        AuthAction::Attach { .. } => Some("ATTACH".to_owned()),
        AuthAction::Detach { .. } => Some("DETACH".to_owned()),
        AuthAction::Unknown { .. } => Some("this statement".to_owned()),
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => Some("a transaction".to_owned()),
        AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTrigger { .. } => Some("a temporary table, view, index or trigger".to_owned()),
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => {
            let allowed = listed(PRAGMAS, pragma_name) || (pragma_value.is_none() && listed(PRAGMAS_READ, pragma_name));
            (!allowed).then(|| format!("PRAGMA {pragma_name}"))
        }
        AuthAction::Function { function_name } => {
            listed(FUNCTIONS_DENIED, function_name).then(|| function_name.to_owned())
        }
        AuthAction::CreateVtable { module_name, .. } => {
            (!listed(VIRTUAL_TABLES, module_name)).then(|| format!("the virtual table module '{module_name}'"))
        }
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Read { table_name, .. } => (table_name == ROWID_TABLE).then(|| table_name.to_owned()),
        _ => None,
    }
}
