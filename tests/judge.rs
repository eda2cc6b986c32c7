//! What `plan --config` says about configurations, line by line, as the library sees it.
//!
//! `OVERWRITE=1 cargo test --test judge` rewrites the expected texts; read the difference before committing it.

use std::fmt::Write as _;
use std::path::Path;

use gpudoctor::catalog::Catalog;
use gpudoctor::engine::judge::{JudgeContext, judge};
use gpudoctor::engine::launch::UsageContext;
use gpudoctor::engine::yaml::read_arguments;
use gpudoctor::finding::Finding;
use gpudoctor::version::Version;
use indexmap::IndexMap;

const FOLDER: &str = "tests/plans/seventy-b-in-7-gb";

/// The findings as they read best: severity, id, place and message, then fixes and evidence.
fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let place = finding.subject.strip_prefix("file:").unwrap_or(&finding.subject);
        let _ = writeln!(text, "{}[{}] {place} {}", finding.severity.name(), finding.id, finding.message);
        for fix in &finding.fixes {
            let command = fix.command.as_deref().filter(|command| !command.is_empty());
            let _ = writeln!(text, "  fix: {}{}", fix.text, command.map(|command| format!(": {command}")).unwrap_or_default());
        }
        for evidence in &finding.evidence {
            let _ = writeln!(text, "  {} = {} ({})", evidence.fact, evidence.value, evidence.source);
        }
    }
    text
}

fn judged(name: &str, version: &str) -> Vec<Finding> {
    let bytes = std::fs::read(Path::new(FOLDER).join(name)).expect("a fixture");
    let args = read_arguments(&bytes, name).expect("valid YAML");
    let catalog = Catalog::builtin();
    let engine = catalog.engine("vllm").expect("vLLM is in the catalogue");
    let version: Version = version.parse().expect("a version");
    let context = JudgeContext {
        catalog: &catalog,
        engine,
        model: None,
        devices: None,
        usage: UsageContext::Serve,
        runner: None,
        offloaded: None,
    };
    judge(&args, &IndexMap::new(), &version, &context)
}

/// The write-up's two configurations, on the version it was written for and on two newer ones.
#[test]
fn the_write_up_is_judged_line_by_line() {
    for config in ["default", "tuned"] {
        for version in ["0.8.5.post1", "0.25.1", "0.33.0"] {
            let got = report(&judged(&format!("{config}.yaml"), version));
            let expected = Path::new(FOLDER).join(format!("{config}.{version}.findings.txt"));
            if std::env::var_os("OVERWRITE").is_some() {
                std::fs::write(&expected, &got).expect("the expected text can be written");
            }
            let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
            assert_eq!(got, wanted, "{} differs; OVERWRITE=1 rewrites it", expected.display());
        }
    }
}

/// The key itself is never repeated.
#[test]
fn no_finding_shows_a_secret() {
    for version in ["0.8.5.post1", "0.25.1", "0.33.0"] {
        assert!(!report(&judged("default.yaml", version)).contains("sk-1234"), "{version}");
    }
}
