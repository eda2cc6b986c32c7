//! A plan or a diagnosis to text for people, machines and pages. Pure: renderers get data and return text.
//!
//! The text carries ANSI styles; whoever prints it strips them where they are not wanted.

use std::path::PathBuf;

use crate::render::ArtifactKind;

pub mod bench;
pub mod check;
pub mod command;
pub mod diagnose;
pub mod drawn;
pub mod github;
pub mod gpus;
pub mod html;
pub mod json;
pub mod junit;
pub mod layout;
pub mod markdown;
#[cfg(test)]
mod sample;
pub mod startup;
pub mod style;
pub mod text;
pub mod verdict;

/// What to show of a plan, and how wide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Columns; text is kept between 60 and 100.
    pub width: usize,
    /// Whether a given configuration was judged: findings come first.
    pub judged: bool,
    /// Whether all alternatives are shown.
    pub alternatives: bool,
    /// Whether refused candidates are shown.
    pub rejected: bool,
    /// Whether hints name the options that make files and show more.
    pub next_steps: bool,
    /// The files that were written.
    pub written: Vec<WrittenFile>,
    /// What starts the server from these files: what a step does, and its command in their directory.
    pub steps: Vec<(String, String)>,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Where.
    pub path: PathBuf,
    /// What it is for.
    pub kind: ArtifactKind,
}
