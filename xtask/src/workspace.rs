//! Paths: the checkout, its target folder, and cargo's home.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The checkout that this program was built from, and its folders.
pub(crate) struct Workspace {
    /// The repository's root folder.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// Cargo's home folder, which holds its downloads.
    pub(crate) cargo_home: PathBuf,
}

impl Workspace {
    /// Finds the folders, preferring cargo's environment variables.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask is in a folder of the workspace")?
            .to_path_buf();
        if !root.join("Cargo.lock").is_file() {
            bail!(
                "{} is no longer the checkout this command was built from; run `cargo xtask` there",
                root.display()
            );
        }
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => env::current_dir()?.join(folder),
            None => root.join("target"),
        };
        Ok(Self {
            root,
            target,
            cargo_home: cargo_home()?,
        })
    }

    /// Reads a file of the checkout.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
    }
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME").filter(|home| !home.is_empty()) {
        return Ok(env::current_dir()?.join(home));
    }
    let home = env::home_dir().context("there is no home folder; set CARGO_HOME")?;
    Ok(home.join(".cargo"))
}
