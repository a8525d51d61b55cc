//! Makes native code of SQLite end with its call.
//!
//! SQLite looks for an interrupt between the instructions of its virtual machine. Full-text search (FTS5) spends minutes in one of
//! them: it parses a query in time that is quadratic in its terms, and `snippet()`, `highlight()` and `bm25()` take such time for
//! the hits in a document. Two settings of the process are changed for that, without effect on other users of SQLite in the
//! process, whose threads run no call:
//!
//! - Memory is refused to a call that has to stop. SQLite ends a statement that gets none, wherever it is.
//! - The three functions get hits through wrappers, which fail for the same reason, or if a query has too many phrases for
//!   the document.
#![allow(unsafe_code, reason = "SQLite's interface is C")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use isopod_ext::sql::is_call_stopped;
use rusqlite::ffi;
use rusqlite::ffi::{Fts5Context, Fts5ExtensionApi, fts5_api, fts5_extension_function};

/// The version whose private list of functions is read, as `Global` says.
const KNOWN: &CStr = c"2026-03-13 10:38:09 737ae4a34738ffa0c3ff7f9bb18df914dd1cad163f28fd6b6e114a344fe6d618";

/// Phrases of a query, times bytes of the positions of their hits in a document: about the steps in which SQLite sorts the hits,
/// without looking for an interrupt. Some hundredths of a second.
const STEPS_MAX: i64 = 1 << 24;

type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void;

/// SQLite's own functions.
static ALLOCATOR: OnceLock<(Malloc, Realloc)> = OnceLock::new();
static FTS5: OnceLock<Fts5ExtensionApi> = OnceLock::new();

thread_local! {
    /// True once the hits of the current row were counted.
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Applies both settings. The one for memory has no effect if SQLite is in use already.
pub(crate) fn install() {
    // SAFETY: a struct of pointers that may be null.
    let mut methods: ffi::sqlite3_mem_methods = unsafe { std::mem::zeroed() };
    // SAFETY: the option takes a pointer to such a struct. SQLite refuses if it is in use.
    let got = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &raw mut methods) };
    if let (ffi::SQLITE_OK, Some(of_sqlite), Some(re_of_sqlite)) = (got, methods.xMalloc, methods.xRealloc) {
        ALLOCATOR.get_or_init(|| (of_sqlite, re_of_sqlite));
        methods.xMalloc = Some(malloc);
        methods.xRealloc = Some(realloc);
        // SAFETY: as above. SQLite copies the struct.
        unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw mut methods) };
    }
    // SAFETY: the function has the signature of an entry point, and stays.
    unsafe { ffi::sqlite3_auto_extension(Some(connected)) };
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    match ALLOCATOR.get() {
        // SAFETY: SQLite's own function, with what SQLite passes.
        Some((malloc, _)) if !is_call_stopped() => unsafe { malloc(bytes) },
        _ => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn realloc(memory: *mut c_void, bytes: c_int) -> *mut c_void {
    match ALLOCATOR.get() {
        // SAFETY: as above.
        Some((_, realloc)) if !is_call_stopped() => unsafe { realloc(memory, bytes) },
        _ => std::ptr::null_mut(),
    }
}

/// The beginning of FTS5's state of a connection, of which `fts5_api` is the public part.
#[repr(C)]
#[allow(dead_code, reason = "the places of the others depend on them")]
struct Global {
    api: fts5_api,
    db: *mut ffi::sqlite3,
    next_id: i64,
    functions: *const Function,
}

/// An entry of its list of functions.
#[repr(C)]
#[allow(dead_code, reason = "as above")]
struct Function {
    global: *const Global,
    name: *const c_char,
    user_data: *mut c_void,
    call: fts5_extension_function,
    destroy: Option<unsafe extern "C" fn(*mut c_void)>,
    next: *const Function,
}

/// Called by SQLite for each connection that is opened.
unsafe extern "C" fn connected(
    db: *mut ffi::sqlite3,
    _: *mut *mut c_char,
    _: *const ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: the connection is open, and this is the thread that opens it. `Global` describes the version that is checked for.
    unsafe {
        if CStr::from_ptr(ffi::sqlite3_sourceid()) != KNOWN {
            return ffi::SQLITE_OK;
        }
        let Some(api) = api_of(db) else {
            return ffi::SQLITE_OK;
        };
        let global = api.cast::<Global>();
        let Some(create) = (*api).xCreateFunction.filter(|_| (*global).db == db) else {
            return ffi::SQLITE_OK;
        };
        for name in [c"snippet", c"highlight", c"bm25"] {
            let mut function = (*global).functions;
            while !function.is_null() && CStr::from_ptr((*function).name) != name {
                function = (*function).next;
            }
            if let Some(call) = function.as_ref().and_then(|function| function.call) {
                // The newest function of a name is the one that is used.
                create(api, name.as_ptr(), call as *mut c_void, Some(stoppable), None);
            }
        }
    }
    ffi::SQLITE_OK
}

/// FTS5's interface of a connection, if it has FTS5.
unsafe fn api_of(db: *mut ffi::sqlite3) -> Option<*mut fts5_api> {
    let mut api: *mut fts5_api = std::ptr::null_mut();
    let mut statement = std::ptr::null_mut();
    // SAFETY: as https://www.sqlite.org/fts5.html#extending_fts5 says; the pointer is used until the statement is finalized.
    unsafe {
        let sql = c"SELECT fts5(?1)".as_ptr();
        if ffi::sqlite3_prepare_v2(db, sql, -1, &raw mut statement, std::ptr::null_mut()) == ffi::SQLITE_OK {
            let place = (&raw mut api).cast();
            ffi::sqlite3_bind_pointer(statement, 1, place, c"fts5_api_ptr".as_ptr(), None);
            ffi::sqlite3_step(statement);
        }
        ffi::sqlite3_finalize(statement);
    }
    (!api.is_null()).then_some(api)
}

/// Calls the function in the user data, with hits that can be refused.
unsafe extern "C" fn stoppable(
    api: *const Fts5ExtensionApi,
    fts: *mut Fts5Context,
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: the user data is the pointer to the function that `connected` has put there. FTS5 passes a table of functions that
    // is the same for all calls, and whose copy is valid for as long as the call.
    unsafe {
        let Some(user_data) = (*api).xUserData else {
            return;
        };
        let original = std::mem::transmute::<*mut c_void, fts5_extension_function>(user_data(fts));
        let mut api = *FTS5.get_or_init(|| *api);
        api.xInst = Some(hit);
        api.xInstCount = Some(count_hits);
        api.xQueryPhrase = Some(query_phrase);
        IS_COUNTED.set(false);
        if let Some(original) = original {
            original(&raw const api, fts, context, count, values);
        }
    }
}

unsafe extern "C" fn hit(
    fts: *mut Fts5Context,
    at: c_int,
    phrase: *mut c_int,
    column: *mut c_int,
    offset: *mut c_int,
) -> c_int {
    match FTS5.get().and_then(|api| api.xInst) {
        // SAFETY: FTS5's own function, with what was passed to ours.
        Some(hit) if !is_call_stopped() => unsafe { hit(fts, at, phrase, column, offset) },
        _ => ffi::SQLITE_INTERRUPT,
    }
}

unsafe extern "C" fn count_hits(fts: *mut Fts5Context, count: *mut c_int) -> c_int {
    let Some(api) = FTS5.get().filter(|_| !is_call_stopped()) else {
        return ffi::SQLITE_INTERRUPT;
    };
    if !IS_COUNTED.get() {
        // SAFETY: as above.
        if unsafe { steps(api, fts) }.is_none_or(|steps| steps > STEPS_MAX) {
            // A function that ignores this error asks again.
            return ffi::SQLITE_TOOBIG;
        }
        IS_COUNTED.set(true);
    }
    match api.xInstCount {
        // SAFETY: as above.
        Some(count_hits) => unsafe { count_hits(fts, count) },
        None => ffi::SQLITE_INTERRUPT,
    }
}

/// Steps in which the hits of the current row are sorted. `None`: unknown.
unsafe fn steps(api: &Fts5ExtensionApi, fts: *mut Fts5Context) -> Option<i64> {
    let mut bytes = 0;
    // SAFETY: as above. The iterator is two pointers: to the positions of a phrase, and to their end.
    unsafe {
        let phrases = (api.xPhraseCount?)(fts);
        for phrase in 0..phrases {
            let mut positions = ffi::Fts5PhraseIter {
                a: std::ptr::null(),
                b: std::ptr::null(),
            };
            let (mut column, mut offset) = (0, 0);
            let found = (api.xPhraseFirst?)(fts, phrase, &raw mut positions, &raw mut column, &raw mut offset);
            if found != ffi::SQLITE_OK || is_call_stopped() {
                return None;
            }
            bytes += positions.b.addr().saturating_sub(positions.a.addr());
        }
        i64::try_from(bytes).ok()?.checked_mul(phrases.into())
    }
}

unsafe extern "C" fn query_phrase(
    fts: *mut Fts5Context,
    phrase: c_int,
    user_data: *mut c_void,
    found: Option<unsafe extern "C" fn(*const Fts5ExtensionApi, *mut Fts5Context, *mut c_void) -> c_int>,
) -> c_int {
    match FTS5.get().and_then(|api| api.xQueryPhrase) {
        // SAFETY: as above.
        Some(query_phrase) if !is_call_stopped() => unsafe { query_phrase(fts, phrase, user_data, found) },
        _ => ffi::SQLITE_INTERRUPT,
    }
}
