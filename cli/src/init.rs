//! `isopod init`: a project from a template.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::output;

/// Arguments of `init`.
#[derive(Args)]
pub(crate) struct InitArguments {
    /// Folder to make; it may exist if it is empty
    #[arg(required_unless_present = "list")]
    folder: Option<PathBuf>,
    /// Template
    #[arg(long, short, value_enum, default_value_t = Template::Hello)]
    template: Template,
    /// Print the templates, and make nothing
    #[arg(long)]
    list: bool,
    /// Print the files, or the templates, as JSON
    #[arg(long)]
    json: bool,
}

/// The templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    /// A worker that answers requests
    Hello,
    /// A JSON API with a SQL database, migrations and a KV cache
    Api,
    /// A web page with a worker behind it
    Site,
    /// A queue with its consumer, and a cron trigger
    Jobs,
}

/// A file of a project: its path, and its text. `PROJECT_NAME` in it stands for the project's name.
type File = (&'static str, &'static str);

/// Files of every template.
const COMMON: &[File] = &[
    (".gitignore", include_str!("init/gitignore")),
    ("package.json", include_str!("init/package.json")),
    ("tsconfig.json", include_str!("init/tsconfig.json")),
];

impl Template {
    /// The template's own files. The first is the configuration.
    const fn files(self) -> &'static [File] {
        match self {
            Self::Hello => &[
                ("wrangler.jsonc", include_str!("init/hello/wrangler.jsonc")),
                ("src/index.ts", include_str!("init/hello/index.ts")),
            ],
            Self::Api => &[
                ("wrangler.jsonc", include_str!("init/api/wrangler.jsonc")),
                ("src/index.ts", include_str!("init/api/index.ts")),
                ("migrations/0001_notes.sql", include_str!("init/api/0001_notes.sql")),
            ],
            Self::Site => &[
                ("wrangler.jsonc", include_str!("init/site/wrangler.jsonc")),
                ("src/index.ts", include_str!("init/site/index.ts")),
                ("public/index.html", include_str!("init/site/index.html")),
                ("public/app.js", include_str!("init/site/app.js")),
            ],
            Self::Jobs => &[
                ("wrangler.jsonc", include_str!("init/jobs/wrangler.jsonc")),
                ("src/index.ts", include_str!("init/jobs/index.ts")),
            ],
        }
    }

    /// The commands to run first.
    const fn first(self) -> &'static [&'static str] {
        match self {
            Self::Api => &["isopod d1 migrations apply", "isopod serve --watch"],
            Self::Hello | Self::Site | Self::Jobs => &["isopod serve --watch"],
        }
    }
}

/// Makes a project, or lists the templates.
pub(crate) fn init(arguments: &InitArguments) -> Result<ExitCode> {
    let text = match &arguments.folder {
        Some(folder) if !arguments.list => made(folder, arguments.template, arguments.json)?,
        _ => list(arguments.json),
    };
    output::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The templates with their descriptions.
fn list(json: bool) -> String {
    let all = Template::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value);
    let rows: Vec<_> = all
        .map(|value| {
            let about = value.get_help().map(ToString::to_string).unwrap_or_default();
            vec![value.get_name().to_owned(), about]
        })
        .collect();
    match json {
        true => {
            let all: serde_json::Map<_, _> = rows
                .into_iter()
                .map(|row| (row[0].clone(), row[1].clone().into()))
                .collect();
            format!("{:#}\n", serde_json::Value::Object(all))
        }
        false => output::table(&rows),
    }
}

/// Makes a project. Returns what is printed.
fn made(folder: &Path, template: Template, json: bool) -> Result<String> {
    let name = name(folder)?;
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; name a new folder", folder.display());
    }
    let files: Vec<_> = template.files().iter().chain(COMMON).collect();
    for (path, text) in &files {
        let path = folder.join(path);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, text.replace("PROJECT_NAME", &name)));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    if json {
        let files: Vec<_> = files.iter().map(|(path, _)| path).collect();
        let made = serde_json::json!({ "name": name, "folder": folder, "files": files });
        return Ok(format!("{made:#}\n"));
    }
    let mut text = format!("made {}\n", folder.display());
    files.iter().for_each(|(path, _)| text.push_str(&format!("  {path}\n")));
    text.push_str(&format!("\nnext:\n  cd {}\n", folder.display()));
    template
        .first()
        .iter()
        .for_each(|line| text.push_str(&format!("  {line}\n")));
    Ok(text)
}

/// The project's name: that of the folder, as wrangler's files permit it.
fn name(folder: &Path) -> Result<String> {
    let absolute = std::path::absolute(folder).with_context(|| format!("cannot find {}", folder.display()))?;
    let name = absolute.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let dashes = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.unwrap_or_default().chars().map(dashes).collect();
    match name.trim_matches('-') {
        "" => bail!("{} has no letter or digit to name the project by", folder.display()),
        name => Ok(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_the_name_of_its_folder_as_wrangler_permits_it() {
        for (folder, expected) in [("a/My Shop", "my-shop"), ("shop_2/", "shop-2"), ("x", "x")] {
            assert_eq!(name(Path::new(folder)).unwrap(), expected);
        }
        assert!(name(Path::new("/tmp/---")).is_err());
    }
}
