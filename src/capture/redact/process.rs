//! What is left of a process: its program and its Python module.

use crate::capture::host::Process;

/// Shortens its command to the program, and its user to a letter.
pub(super) fn shorten(process: &mut Process) {
    let command = std::mem::take(&mut process.command);
    process.command = command.map(|command| program(&command));
    let user = std::mem::take(&mut process.user);
    process.user = user.map(|user| initial(&user));
}

/// `python3 -m vllm.entrypoints.openai.api_server` of a long command line.
fn program(command: &str) -> String {
    let mut words = command.split_whitespace();
    let name = words.next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    match (words.next(), words.next()) {
        (Some("-m"), Some(module)) => format!("{name} -m {module}"),
        // The scripts of the engines are programs too: `python3 /opt/venv/bin/vllm serve MODEL`.
        (Some(script), Some("serve")) if script.ends_with("/vllm") => format!("{name} vllm serve"),
        _ => name.to_owned(),
    }
}

/// `a***` of `anna`; the same once more.
fn initial(user: &str) -> String {
    match user.chars().next() {
        Some(first) if user != "root" => format!("{first}***"),
        _ => user.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shortened_to_its_program() {
        assert_eq!(program("/home/anna/venv/bin/python3 -m vllm.entrypoints --model /home/anna/m"), "python3 -m vllm.entrypoints");
        assert_eq!(program("/opt/venv/bin/python3 /opt/venv/bin/vllm serve secret/model"), "python3 vllm serve");
        assert_eq!(program("python train.py --token x"), "python");
        assert_eq!((initial("anna").as_str(), initial("a***").as_str(), initial("root").as_str()), ("a***", "a***", "root"));
    }
}
