//! Shows the tasks' events as progress bars, or as lines without a terminal.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{IsTerminal, stderr};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use isopod::host::bus::SystemEvent;

/// A full bar.
const FULL: u64 = 1000;

pub(crate) struct Bars {
    /// Invisible if standard error is not a terminal.
    bars: BTreeMap<String, ProgressBar>,
    lines: bool,
}

impl Bars {
    pub(crate) fn new(stages: &[&str]) -> Result<Self, Box<dyn Error>> {
        let style = ProgressStyle::with_template("{prefix:>10} {bar:40} {percent:>3} % {msg}")?;
        let drawn = MultiProgress::new();
        let bar = |stage: &&str| {
            let bar = ProgressBar::new(FULL)
                .with_style(style.clone())
                .with_prefix((*stage).to_owned());
            ((*stage).to_owned(), drawn.add(bar))
        };
        let bars = stages.iter().map(bar).collect();
        let lines = !stderr().is_terminal();
        Ok(Self { bars, lines })
    }

    /// Shows an event.
    ///
    /// # Errors
    /// The task failed.
    pub(crate) fn show(&self, event: SystemEvent) -> Result<(), Box<dyn Error>> {
        match event {
            SystemEvent::TaskStarted { name, .. } => self.say(&name, "started"),
            SystemEvent::TaskProgress { name, progress, .. } => {
                if let (Some(bar), Some(part)) = (self.bars.get(&*name), progress.as_f64()) {
                    bar.set_position((part.clamp(0.0, 1.0) * FULL as f64) as u64);
                }
            }
            SystemEvent::TaskCompleted { name, .. } => {
                if let Some(bar) = self.bars.get(&*name) {
                    bar.set_position(FULL);
                    bar.abandon_with_message("done");
                }
                self.say(&name, "done");
            }
            SystemEvent::TaskFailed { name, error, .. } => return Err(format!("{name} failed: {error}").into()),
            _ => {}
        }
        Ok(())
    }

    fn say(&self, stage: &str, what: &str) {
        if self.lines {
            eprintln!("{stage}: {what}");
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // Leaves the bars in place, so that later output appears below them.
        for bar in self.bars.values().filter(|bar| !bar.is_finished()) {
            bar.abandon();
        }
    }
}
