//! Deployments: files of the project change, and the server follows.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Scene, Wrong, describe, expect, is};
use crate::client::{Answer, request};

/// A deployment restarts every worker, which takes time on a busy machine.
const DEPLOYED_WITHIN: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Deploys the next version. Once it has answered, older ones must not answer any more.
pub(super) async fn next_version(scene: &Scene<'_>) -> Result<(), Wrong> {
    let _alone = scene.versions.deploying.lock().await;
    let version = scene.versions.written.get() + 1;
    scene.versions.written.set(version);
    scene.project.deploy(version).map_err(|error| format!("{error:#}"))?;
    let answer = until(scene, "deployed", |answer| {
        answer.body == version.to_string().as_bytes()
    })
    .await?;
    expect(&answer, version.to_string().as_bytes())?;
    scene.versions.confirmed.set(version);
    Ok(())
}

/// Deploys a version that cannot start, which reports that, then one that can.
pub(super) async fn broken_version(scene: &Scene<'_>) -> Result<(), Wrong> {
    let _alone = scene.versions.deploying.lock().await;
    let written = |sound| scene.project.mend(sound).map_err(|error| format!("{error:#}"));
    written(false)?;
    let broken = until(scene, "mending", |answer| is(answer, 503, "boot_failed")).await;
    // In any case, so that the next deployment starts from a version that works.
    written(true)?;
    broken?;
    until(scene, "mending", |answer| is(answer, 200, "ok")).await.map(drop)
}

async fn until(scene: &Scene<'_>, worker: &str, found: impl Fn(&Answer) -> bool) -> Result<Answer, Wrong> {
    let start = Instant::now();
    loop {
        let answer = scene.ask(request(worker, "/", "", None), false).await?;
        if found(&answer) {
            return Ok(answer);
        }
        if start.elapsed() > DEPLOYED_WITHIN {
            return Err(format!(
                "{worker} is not what was deployed {DEPLOYED_WITHIN:?} ago, {}",
                describe(&answer)
            ));
        }
        sleep(BETWEEN_LOOKS).await;
    }
}
