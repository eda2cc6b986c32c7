//! What reaches the terminal: reports to stdout, everything else to stderr.

use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::cli::Colour;
use crate::error::{EXIT_GOOD, Error};
use crate::report::layout::{WIDEST, wrap};
use crate::report::style;

/// Applies `--color` to both streams.
pub fn choose_colour(colour: Colour) {
    match colour {
        Colour::Auto => anstream::ColorChoice::Auto,
        Colour::Always => anstream::ColorChoice::Always,
        Colour::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// The width of the terminal that reads stdout, or the widest that reports use.
pub fn width() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(WIDEST, |(width, _)| usize::from(width.0))
}

/// Prints a report.
///
/// # Errors
/// When stdout cannot be written. A reader that went away is no error: it has what it wanted.
pub fn print(report: &str) -> Result<(), Error> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(report.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::internal(format!("stdout cannot be written: {error}"))),
        _ => Ok(()),
    }
}

/// Prints a report over the last one, of `above` lines, where stdout is a terminal; else below it. Returns its lines.
///
/// # Errors
/// As [`print()`].
pub fn redraw(report: &str, above: usize) -> Result<usize, Error> {
    let mut stdout = io::stdout().lock();
    // Moving the cursor is no colour, and stays where colours are taken out.
    let plain = anstream::AutoStream::choice(&stdout) == anstream::ColorChoice::Never;
    let text = if plain { anstream::adapter::strip_str(report).to_string() } else { report.to_owned() };
    let frame = frame(&text, above, stdout.is_terminal());
    match stdout.write_all(frame.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) => Err(Error::internal(format!("stdout cannot be written: {error}"))),
        Ok(()) => Ok(text.lines().count()),
    }
}

/// A picture that is drawn over the last one, of `above` lines: the cursor goes up, each line is replaced and its rest
/// cleared. It is written in one piece and nothing is wiped before, so nothing flickers.
fn frame(text: &str, above: usize, terminal: bool) -> String {
    if !terminal {
        return format!("{text}\n");
    }
    let up = if above > 0 { format!("\u{1b}[{above}A") } else { String::new() };
    let lines: String = text.lines().map(|line| format!("{line}\u{1b}[K\n")).collect();
    format!("{up}\r{lines}\u{1b}[J")
}

/// Prints an error with its hints and returns its exit code.
pub fn failure(error: &Error) -> u8 {
    let mut text = format!("{} {}\n", style::error_label(), error.message);
    for hint in &error.hints {
        text.push('\n');
        text.push_str(&wrap(hint, &format!("{} ", style::hint_label()), "      ", WIDEST));
    }
    if !error.hints.is_empty() {
        text.push('\n');
    }
    complain(&text);
    error.kind.exit_code()
}

/// Says that the answer is no, and why.
pub fn refusal(message: &str, reasons: &[String]) {
    let lines: String = reasons.iter().map(|reason| format!("{}\n", wrap(reason, "  ", "    ", WIDEST))).collect();
    complain(&format!("{message}\n{lines}"));
}

/// Says what is being waited for: network use is always visible.
pub fn progress(message: &str) {
    complain(&format!("{}\n", style::quiet(message)));
}

/// Prints what clap has to say: help to stdout, a usage error to stderr.
pub fn usage(error: &clap::Error) -> u8 {
    let code = if error.use_stderr() { crate::error::ErrorKind::Usage.exit_code() } else { EXIT_GOOD };
    match error.print() {
        Ok(()) | Err(_) => code,
    }
}

/// Makes a defect print one line that asks for a report, and no trace.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let place = panic.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        complain(&format!(
            "{} gpudoctor failed{place}: {}; this is a defect, report it with the command that you ran\n",
            style::error_label(),
            message.unwrap_or("no message").replace('\n', " ")
        ));
    }));
}

/// Writes to stderr. Nobody can be told when that fails.
fn complain(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_drawn_over_the_last_one() {
        assert_eq!(frame("a\nb\n", 0, true), "\ra\u{1b}[K\nb\u{1b}[K\n\u{1b}[J");
        assert_eq!(frame("a\n", 2, true), "\u{1b}[2A\ra\u{1b}[K\n\u{1b}[J");
        assert_eq!(frame("a\n", 2, false), "a\n\n");
    }
}
