//! Shell completions and manual page, generated from the command's definition.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

/// Prints a shell's completion script.
pub(crate) fn completions(shell: Shell, mut command: Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "isopod", &mut script);
    print(&script)
}

/// Prints the manual page.
pub(crate) fn page(command: Command) -> Result<ExitCode> {
    print(&rendered(command)?)
}

/// Renders one page: the command itself, then a section for each subcommand.
fn rendered(mut command: Command) -> std::io::Result<Vec<u8>> {
    command.build();
    let shown = |sub: &&Command| !sub.is_hide_set() && sub.get_name() != "help";
    let subcommands: Vec<_> = command.get_subcommands().filter(shown).cloned().collect();
    let mut page = Vec::new();
    // The list of subcommands would refer to pages that do not exist.
    let own = Man::new(command.clone());
    own.render_title(&mut page)?;
    own.render_name_section(&mut page)?;
    own.render_synopsis_section(&mut page)?;
    own.render_options_section(&mut page)?;
    for subcommand in subcommands {
        let name = format!("isopod {}", subcommand.get_name());
        let man = Man::new(subcommand);
        let mut sections = Vec::new();
        man.render_description_section(&mut sections)?;
        man.render_synopsis_section(&mut sections)?;
        man.render_options_section(&mut sections)?;
        let sections = String::from_utf8_lossy(&sections).replace(".SH ", ".SS ");
        writeln!(page, ".SH \"{}\"\n{sections}", name.to_uppercase())?;
    }
    own.render_version_section(&mut page)?;
    Ok(page)
}

/// Writes to standard output. A reader that closes it early (`isopod man | head`) is not an error.
fn print(text: &[u8]) -> Result<ExitCode> {
    match std::io::stdout().lock().write_all(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn the_page_has_a_section_for_each_subcommand_that_is_shown() {
        let run = Command::new("run")
            .about("Run a script")
            .arg(Arg::new("file").required(true));
        let secret = Command::new("secret").hide(true);
        let command = Command::new("isopod").version("1.0").subcommand(run).subcommand(secret);
        let page = String::from_utf8(rendered(command).expect("a page")).expect("UTF-8");
        assert!(
            page.contains(".SH \"ISOPOD RUN\"") && page.contains(".SS SYNOPSIS"),
            "{page}"
        );
        assert!(page.contains("Run a script") && !page.contains("SECRET"), "{page}");
    }
}
