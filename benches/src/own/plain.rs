//! Servers in plain Rust: a point query on SQLite, and the files of a folder.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use rusqlite::{Connection, OpenFlags};
use tower_http::services::ServeDir;

use super::hyper::serve;

/// Rows of the table.
const ROWS: u32 = 1000;

thread_local! {
    static CONNECTION: OnceCell<Connection> = const { OnceCell::new() };
}

/// Serves a row by its key, on SQLite in a folder.
pub(super) fn rows(port: u16, folder: &Path) -> Result<()> {
    let file = folder.join("plain.sqlite");
    let db = Connection::open(&file)?;
    db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL);")?;
    for id in 1..=ROWS {
        db.execute("INSERT INTO items VALUES (?1, ?2)", (id, format!("item {id}")))?;
    }
    let file: &'static Path = Box::leak(file.into_boxed_path());
    serve(port, move |_| {
        let name = row(file);
        async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(name)))) }
    })
}

/// Serves the files of a folder.
pub(super) fn files(port: u16, folder: &Path) -> Result<()> {
    let files = ServeDir::new(folder);
    serve(port, move |request| {
        let mut files = files.clone();
        async move { files.try_call(request).await }
    })
}

fn row(file: &Path) -> String {
    // A number that differs from one request to the next.
    let id = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0) % u64::from(ROWS) + 1;
    CONNECTION.with(|connection| {
        let connection = connection.get_or_init(|| {
            Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the file is there")
        });
        let select = connection.prepare_cached("SELECT name FROM items WHERE id = ?1");
        let name = select.and_then(|mut select| select.query_row([id.cast_signed()], |row| row.get::<_, String>(0)));
        name.expect("the row is there")
    })
}
