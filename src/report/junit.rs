//! A diagnosis as JUnit XML: one test case a check, one failure a finding that is an error or a warning.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::check::{Diagnosis, Judged};
use crate::finding::Severity;

/// The report. Ends with a line break.
///
/// # Errors
/// When it has no XML form.
pub fn check(diagnosis: &Diagnosis) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("gpudoctor check");
    for judged in &diagnosis.findings {
        suite.add_test_case(finding(judged));
    }
    for skipped in &diagnosis.skipped {
        let mut status = TestCaseStatus::skipped();
        status.set_message(skipped.reason.as_str());
        suite.add_test_case(case(&skipped.id, status));
    }
    for id in &diagnosis.passed {
        suite.add_test_case(case(id, TestCaseStatus::success()));
    }
    let mut report = Report::new("gpudoctor");
    report.add_test_suite(suite);
    let mut text = report.to_string()?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn case(name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname("gpudoctor.check");
    case
}

/// What is only worth knowing is no failure.
fn finding(judged: &Judged) -> TestCase {
    let finding = &judged.finding;
    let name = format!("{} ({})", finding.id, finding.subject);
    if finding.severity == Severity::Info {
        let mut passed = case(&name, TestCaseStatus::success());
        passed.set_system_out(finding.message.as_str());
        return passed;
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(finding.message.as_str()).set_type(finding.severity.name());
    let fixes = finding.fixes.iter().map(|fix| match &fix.command {
        Some(command) => format!("fix: {}\n  {command}", fix.text),
        None => format!("fix: {}", fix.text),
    });
    let evidence = finding.evidence.iter().map(|evidence| format!("{}: {} ({})", evidence.fact, evidence.value, evidence.source));
    status.set_description(evidence.chain(fixes).collect::<Vec<_>>().join("\n"));
    case(&name, status)
}
