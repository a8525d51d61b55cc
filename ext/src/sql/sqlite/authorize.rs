//! SQLite's authorizer, which is asked before a statement, view or trigger is compiled.
//!
//! The check of tokens (`statement.rs`) comes first and has the better messages; this one covers whatever it misses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::stop::unstopped;
use crate::sql::statement::{FUNCTIONS_DENIED, PRAGMAS, PRAGMAS_READ, VIRTUAL_TABLES};

/// A temporary table of each connection: an insert into it resets `last_insert_rowid()` between calls.
pub(super) const ROWID_TABLE: &str = "isopod_rowid";

/// The beginning of the names of the owner's tables in a database of Durable Objects, as on the platform.
const RESERVED: &str = "_cf_";

/// The authorizer's state: whether the connection's own statements run, and the last refusal.
#[derive(Clone)]
pub(super) struct Guard(Arc<State>);

#[derive(Default)]
struct State {
    /// True if some tables belong to the owner.
    reserves: bool,
    open: AtomicBool,
    refused: Mutex<Option<String>>,
}

impl Guard {
    /// `reserves`: names that begin with `_cf_` are refused.
    pub(super) fn new(reserves: bool) -> Self {
        Self(Arc::new(State {
            reserves,
            ..State::default()
        }))
    }

    /// Runs the connection's own statements, without restrictions.
    pub(super) fn lifted<T>(&self, run: impl FnOnce() -> T) -> T {
        self.0.open.store(true, Ordering::Relaxed);
        let done = unstopped(run);
        self.0.open.store(false, Ordering::Relaxed);
        done
    }

    /// The last refusal since the previous call.
    pub(super) fn take_refused(&self) -> Option<String> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn ask(&self, context: AuthContext<'_>) -> Authorization {
        if self.0.open.load(Ordering::Relaxed) {
            return Authorization::Allow;
        }
        let reserved = self.0.reserves.then(|| reserved(context.action)).flatten();
        let Some(refused) = reserved.or_else(|| refused(context.action)) else {
            return Authorization::Allow;
        };
        *self.0.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
        Authorization::Deny
    }
}

/// Returns the name, if an action concerns a table of the owner.
fn reserved(action: AuthAction<'_>) -> Option<String> {
    let name = match action {
        AuthAction::CreateTable { table_name }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::CreateVtable { table_name, .. }
        | AuthAction::DropTable { table_name }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::DropTrigger { table_name, .. }
        | AuthAction::DropVtable { table_name, .. }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Read { table_name, .. } => table_name,
        AuthAction::CreateView { view_name } => view_name,
        _ => return None,
    };
    let is_reserved = name
        .get(..RESERVED.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(RESERVED));
    is_reserved.then(|| format!("access to {name}"))
}

/// Returns the description of a refused action.
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
