//! docs/checks.md, from the rules.

use gpudoctor::catalog::{Catalog, CheckRule, CheckSubject, Layer};
use gpudoctor::check::{CHECKS, reads};
use gpudoctor::facts::vocabulary::words;
use gpudoctor::finding::Severity;

const LAYERS: [(Layer, &str); 10] = [
    (Layer::Driver, "The kernel driver"),
    (Layer::Container, "Containers"),
    (Layer::Device, "The cards"),
    (Layer::Library, "The driver's libraries, and which cards they show"),
    (Layer::Python, "The Python environment"),
    (Layer::Engine, "The engine on these cards"),
    (Layer::Sharing, "Who else uses the cards"),
    (Layer::Link, "Between cards"),
    (Layer::Host, "The machine around the cards"),
    (Layer::Network, "The network"),
];

/// The page.
pub(super) fn markdown(catalog: &Catalog) -> String {
    let mut text = "# Checks\n\nWhat `gpudoctor check` looks at, causes before consequences. `gpudoctor explain ID` prints one of them. This page is made from \
                    `rules/checks` and the list in `src/check.rs`.\n"
        .to_owned();
    for (layer, title) in LAYERS {
        text.push_str(&format!("\n## {title}\n"));
        let mut rules: Vec<&CheckRule> = catalog.checks().iter().filter(|rule| rule.layer == layer).collect();
        rules.sort_by(|a, b| (std::cmp::Reverse(a.severity), &a.id).cmp(&(std::cmp::Reverse(b.severity), &b.id)));
        if layer == Layer::Python {
            text.push_str(
                "\nIn code, since they need more than an expression; each has a page in [explain/findings](explain/findings):\n\n",
            );
            CHECKS.iter().for_each(|check| text.push_str(&format!("- `{0}`\n", check.id)));
        }
        rules.into_iter().for_each(|rule| text.push_str(&section(rule)));
    }
    text.push_str("\n## Facts\n\nThe names that a rule may use. `gpu` and `link` stand for the one that it is about, `env.NAME` for an environment variable.\n\n");
    text.push_str("| fact | meaning |\n| --- | --- |\n");
    for (path, word) in words().iter().filter(|(_, word)| !word.has_parts) {
        text.push_str(&format!("| `{path}` | {} |\n", word.meaning.replace('|', "\\|")));
    }
    text
}

fn section(rule: &CheckRule) -> String {
    let severity = match rule.severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let subject = match rule.subject {
        CheckSubject::Host => "the machine",
        CheckSubject::Gpu => "each GPU",
        CheckSubject::Link => "each pair of GPUs",
        CheckSubject::Engine => "the engine",
    };
    let when = rule.when.split_whitespace().collect::<Vec<_>>().join(" ");
    let read: Vec<String> = reads(rule).iter().map(|path| format!("`{path}`")).collect();
    let explains: Vec<String> = rule.explains.iter().map(|id| format!("`{id}`")).collect();
    let mut text = format!("\n### {}\n\n{severity}, of {subject}: {}. {}\n\n    {when}\n\n", rule.id, rule.summary, rule.why);
    text.push_str(&format!("Reads {}.", read.join(", ")));
    if !explains.is_empty() {
        text.push_str(&format!(" Explains {}.", explains.join(", ")));
    }
    text.push_str(&format!(" Sources: {}.\n", rule.sources.join("; ")));
    text
}
