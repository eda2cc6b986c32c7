//! `completions` and `man`: both come from the command line's definition.

use clap_complete::Shell;

use crate::cli;
use crate::commands::output;
use crate::error::{EXIT_GOOD, Error};

/// Prints the completions of a shell.
///
/// # Errors
/// When stdout cannot be written.
pub fn completions(shell: Shell) -> Result<u8, Error> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut cli::definition(), "gpudoctor", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(EXIT_GOOD)
}

/// Prints the manual page.
///
/// # Errors
/// When stdout cannot be written.
pub fn manual_page() -> Result<u8, Error> {
    output::print(&manual()?)?;
    Ok(EXIT_GOOD)
}

/// The manual page: the program, then one section a command.
fn manual() -> Result<String, Error> {
    let failed = |error: std::io::Error| Error::internal(format!("the manual page cannot be rendered: {error}"));
    let mut definition = cli::definition();
    definition.build();
    let mut text = Vec::new();
    clap_mangen::Man::new(definition.clone()).render(&mut text).map_err(failed)?;
    for command in definition.get_subcommands().filter(|command| command.get_name() != "help") {
        let page = clap_mangen::Man::new(command.clone());
        let name = command.get_name().to_uppercase();
        text.extend_from_slice(format!(".SH \"COMMAND {name}\"\n").as_bytes());
        page.render_description_section(&mut text).map_err(failed)?;
        page.render_options_section(&mut text).map_err(failed)?;
        page.render_extra_section(&mut text).map_err(failed)?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
