//! The command line as a Markdown page.

use clap::{Arg, Command};

/// The page of a program and all its commands.
pub(crate) fn markdown(definition: &Command) -> String {
    let mut definition = definition.clone();
    definition.build();
    let mut page = format!("# Command line\n\n{}\n", paragraph(&definition));
    for command in definition.get_subcommands().filter(|command| command.get_name() != "help") {
        page.push_str(&section(command));
    }
    page.push_str(&format!("\n## Exit codes\n\n```text\n{}\n```\n", after(&definition)));
    page
}

fn section(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let mut text = format!("\n## {}\n\n{}\n\n```text\n{usage}\n```\n", command.get_name(), paragraph(command));
    let mut heading = None;
    for argument in command.get_arguments().filter(|argument| !["help", "color"].contains(&argument.get_id().as_str())) {
        let title = argument.get_help_heading().unwrap_or("Arguments").to_owned();
        if heading.as_ref() != Some(&title) {
            text.push_str(&format!("\n### {title}\n\n| | |\n| --- | --- |\n"));
            heading = Some(title);
        }
        text.push_str(&row(argument));
    }
    let after = after(command);
    if !after.is_empty() {
        text.push_str(&format!("\n```text\n{after}\n```\n"));
    }
    text
}

fn row(argument: &Arg) -> String {
    let values: Vec<String> = argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let values = if values.is_empty() || argument.get_num_args().is_some_and(|number| !number.takes_values()) {
        String::new()
    } else {
        format!(": {}", values.join(", "))
    };
    let default: Vec<String> = argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let default = if default.is_empty() || !argument.get_action().takes_values() {
        String::new()
    } else {
        format!(" (default {})", default.join(", "))
    };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    format!("| `{}` | {}{values}{default} |\n", argument.to_string().replace('|', "\\|"), help.replace('|', "\\|"))
}

fn paragraph(command: &Command) -> String {
    command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default()
}

fn after(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}
