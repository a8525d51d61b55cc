//! A server in plain Rust: a point query on SQLite.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rusqlite::{Connection, OpenFlags};
use tokio::net::TcpListener;

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
    serve(port, move |stream, runtime| {
        let answer = move |_: Request<Incoming>| {
            let name = row(file);
            async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(name)))) }
        };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(stream, service_fn(answer));
        runtime.spawn(connection);
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

fn serve(port: u16, connection: impl Fn(TokioIo<tokio::net::TcpStream>, &tokio::runtime::Handle)) -> Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let runtime = tokio.handle().clone();
    tokio.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connection(TokioIo::new(stream), &runtime);
        }
    })
}
