//! The module `door`: reads a line with a name over TCP, and answers with a greeting.

use std::sync::Arc;

use isopod::Pool;
use isopod::host::{BoxError, CancellationToken, Context, Module, PhaseResult, async_trait};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::visits::Visits;

/// Maximum number of guests at a time; further ones wait in the listener's backlog.
const GUESTS_MAX: usize = 64;
/// Maximum length of a line.
const LINE_LEN_MAX: u64 = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    listen: String,
}

/// Binds its port in `start`; accepts connections from `ready` until `drain`.
#[derive(Default)]
pub(crate) struct Door {
    listener: Option<TcpListener>,
    open: Option<CancellationToken>,
}

#[async_trait]
impl Module for Door {
    fn name(&self) -> &str {
        "door"
    }

    fn depends_on(&self) -> Vec<String> {
        vec!["visits".into(), "pool".into()]
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let config: Config = ctx.config()?;
        self.listener = Some(TcpListener::bind(&config.listen).await?);
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        let keeper = Keeper {
            pool: ctx.hub().get::<Pool>()?,
            visits: ctx.hub().get::<dyn Visits>()?,
        };
        eprintln!("listening on {}", listener.local_addr()?);
        let open = ctx.token().child_token();
        let (ctx, until) = (ctx.clone(), open.clone());
        // The task has the module's context, so guests that are being greeted may finish during the drain.
        ctx.clone().spawn(async move {
            let accepted = until.run_until_cancelled(accept(&listener, &ctx, keeper)).await;
            accepted.unwrap_or(Ok(()))
        });
        self.open = Some(open);
        Ok(())
    }

    async fn drain(&mut self, _ctx: &Context) -> PhaseResult {
        if let Some(open) = self.open.take() {
            open.cancel();
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Keeper {
    pool: Arc<Pool>,
    visits: Arc<dyn Visits>,
}

async fn accept(listener: &TcpListener, ctx: &Context, keeper: Keeper) -> PhaseResult {
    let room = Arc::new(Semaphore::new(GUESTS_MAX));
    loop {
        let place = Arc::clone(&room).acquire_owned().await?;
        let (stream, _) = listener.accept().await?;
        let keeper = keeper.clone();
        ctx.service(async move {
            let _place = place;
            if let Err(error) = keeper.receive(stream).await {
                // One guest's error is not the module's.
                tracing::warn!(%error, "a guest was not greeted");
            }
            Ok(())
        });
    }
}

impl Keeper {
    async fn receive(&self, mut stream: TcpStream) -> Result<(), BoxError> {
        let (input, mut output) = stream.split();
        let mut name = String::new();
        BufReader::new(input.take(LINE_LEN_MAX)).read_line(&mut name).await?;
        let name = name.trim().to_owned();
        let visits = self.visits.count(&name).await?;
        let greeting: String = self
            .pool
            .call("greetings", "greet", (name.clone(), visits))
            .await
            .map_err(|failure| failure.message)?;
        output.write_all(format!("{greeting}\n").as_bytes()).await?;
        Ok(())
    }
}
