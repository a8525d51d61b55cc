//! Determines what a path on the command line refers to: a script, a configuration file or a folder.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::source::Source;

/// Target of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// A script: one worker with default settings.
    Script(PathBuf),
    /// An `isopod.toml`.
    Isopod(PathBuf),
    /// A `wrangler.toml`, `wrangler.json` or `wrangler.jsonc`.
    Wrangler(PathBuf),
    /// A folder with neither, served as a static site.
    Files(PathBuf),
}

const EXTENSIONS: [&str; 6] = ["ts", "tsx", "js", "mjs", "jsx", "mts"];
/// Conventional entry files, without extension.
const ENTRIES: [&str; 4] = ["index", "src/index", "worker", "src/worker"];
const WRANGLER: [&str; 3] = ["wrangler.jsonc", "wrangler.json", "wrangler.toml"];

/// Finds what to serve at `path`: a script, a configuration file, or a folder with one of them.
///
/// In a folder, in this order: `isopod.toml`; the configuration that `.wrangler/deploy/config.json` names, which builds of
/// frameworks write; `wrangler.jsonc`, `.json`, `.toml`; the `main` of `package.json`; `index`,
/// `src/index`, `worker`, `src/worker` with one of the extensions of a script. A folder with none of these and no
/// `package.json` is a static site, if it has a file.
///
/// # Errors
///
/// [`ConfigError::NothingThere`] with the files that were looked for; [`ConfigError::UnknownFile`] for any other file;
/// [`ConfigError::Read`] if the path does not exist.
pub fn discover(path: &Path) -> Result<Located, ConfigError> {
    let metadata = std::fs::metadata(path).map_err(|cause| ConfigError::Read {
        path: path.to_owned(),
        cause,
    })?;
    if metadata.is_dir() {
        in_folder(path)
    } else {
        of_file(path)
    }
}

fn of_file(path: &Path) -> Result<Located, ConfigError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    match extension {
        _ if EXTENSIONS.contains(&extension) => Ok(Located::Script(path.to_owned())),
        // A configuration may have a name of its own, `wrangler.staging.toml`, `production.toml`.
        "toml" | "json" | "jsonc" if name.starts_with("wrangler") => Ok(Located::Wrangler(path.to_owned())),
        "toml" => Ok(Located::Isopod(path.to_owned())),
        _ => Err(ConfigError::UnknownFile { path: path.to_owned() }),
    }
}

fn in_folder(folder: &Path) -> Result<Located, ConfigError> {
    let isopod = folder.join("isopod.toml");
    if isopod.is_file() {
        return Ok(Located::Isopod(isopod));
    }
    if let Some(built) = redirected(folder)? {
        return Ok(Located::Wrangler(built));
    }
    if let Some(wrangler) = WRANGLER
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
    {
        return Ok(Located::Wrangler(wrangler));
    }
    if let Some(main) = package_main(folder)? {
        return Ok(Located::Script(main));
    }
    let with_extensions = |entry: &'static str| {
        EXTENSIONS
            .iter()
            .map(move |extension| folder.join(format!("{entry}.{extension}")))
    };
    if let Some(script) = ENTRIES
        .into_iter()
        .flat_map(with_extensions)
        .find(|path| path.is_file())
    {
        return Ok(Located::Script(script));
    }
    if !folder.join("package.json").exists() && has_files(folder) {
        return Ok(Located::Files(folder.to_owned()));
    }
    let mut looked_for = vec!["isopod.toml".to_owned()];
    looked_for.extend(WRANGLER.map(str::to_owned));
    looked_for.push("package.json with `main`".to_owned());
    looked_for.extend(ENTRIES.map(|entry| format!("{entry}.{{{}}}", EXTENSIONS.join(","))));
    Err(ConfigError::NothingThere {
        path: folder.to_owned(),
        looked_for,
    })
}

/// Returns the configuration that a build has written in the place of the project's, if there is one:
/// <https://developers.cloudflare.com/workers/wrangler/configuration/#generated-wrangler-configuration>.
fn redirected(folder: &Path) -> Result<Option<PathBuf>, ConfigError> {
    let redirect = folder.join(".wrangler/deploy");
    let path = redirect.join("config.json");
    if !path.is_file() {
        return Ok(None);
    }
    let source = Source::read(&path)?;
    let named: serde_json::Value = serde_json::from_str(source.text()).unwrap_or_default();
    let target = named["configPath"].as_str().map(|target| redirect.join(target));
    let built = target.and_then(|target| std::fs::canonicalize(target).ok());
    Ok(built.filter(|built| built.is_file()))
}

/// Returns whether a folder has a file that is not hidden.
fn has_files(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut visible = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    visible.any(|entry| entry.path().is_file())
}

/// Returns the `main` of package.json, if its file exists: that of a library may not have been built.
fn package_main(folder: &Path) -> Result<Option<PathBuf>, ConfigError> {
    let path = folder.join("package.json");
    if !path.is_file() {
        return Ok(None);
    }
    let source = Source::read(&path)?;
    // The module loader reports a broken package.json, with its place, when a module needs it.
    let package: serde_json::Value = serde_json::from_str(source.text()).unwrap_or_default();
    Ok(package["main"]
        .as_str()
        .map(|main| folder.join(main))
        .filter(|main| main.is_file()))
}
