//! Shows the events of tasks as progress bars, or as lines without a terminal.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{IsTerminal, stderr};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use isopod::host::bus::SystemEvent;

pub(crate) struct Bars {
    drawn: MultiProgress,
    /// By the name of the task.
    bars: BTreeMap<String, Stage>,
    lost: ProgressBar,
    lines: bool,
}

struct Stage {
    bar: ProgressBar,
    /// The progress of each task that runs.
    running: BTreeMap<u64, f64>,
}

impl Bars {
    pub(crate) fn new(samples: u64, entropy: bool) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let style = ProgressStyle::with_template("{prefix:>10} {bar:40} {pos:>5}/{len} {msg}")?;
        let drawn = MultiProgress::new();
        let mut bars = BTreeMap::new();
        for stage in ["unpack.unpack", "strings.strings", "entropy.entropy", "verdict"] {
            if stage == "entropy.entropy" && !entropy {
                continue;
            }
            let prefix = stage.rsplit('.').next().unwrap_or(stage);
            let bar = ProgressBar::new(samples)
                .with_style(style.clone())
                .with_prefix(prefix.to_owned());
            let stage = (
                stage.to_owned(),
                Stage {
                    bar: drawn.add(bar),
                    running: BTreeMap::new(),
                },
            );
            bars.extend([stage]);
        }
        let style = ProgressStyle::with_template("{prefix:>10} {pos}")?;
        let lost = drawn.add(ProgressBar::no_length().with_style(style).with_prefix("lost"));
        let lines = !stderr().is_terminal();
        Ok(Self {
            drawn,
            bars,
            lost,
            lines,
        })
    }

    pub(crate) fn show(&mut self, event: &SystemEvent) {
        match event {
            SystemEvent::TaskProgress { task, name, progress } => {
                if let (Some(stage), Some(part)) = (self.bars.get_mut(&**name), progress.as_f64()) {
                    stage.running.insert(*task, part);
                    let sum: f64 = stage.running.values().sum();
                    stage
                        .bar
                        .set_message(format!("{:.0} %", sum / stage.running.len() as f64 * 100.0));
                }
            }
            SystemEvent::TaskCompleted { task, name } => {
                if let Some(stage) = self.bars.get_mut(&**name) {
                    stage.running.remove(task);
                    stage.bar.inc(1);
                }
            }
            // A process that ends is one as well, under the module's name.
            SystemEvent::TaskFailed { name, error, .. } if self.bars.contains_key(&**name) => {
                eprintln!("{name}: {error}");
            }
            SystemEvent::ModuleExited { module, reason, .. } => {
                self.lost.inc(1);
                if self.lines {
                    eprintln!("{module}: {reason}");
                }
            }
            _ => {}
        }
    }

    /// Prints a line to standard output, above the bars.
    pub(crate) fn print(&self, line: &str) {
        self.drawn.suspend(|| println!("{line}"));
    }
}
