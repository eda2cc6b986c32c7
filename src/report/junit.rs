//! A diagnosis or measurements as JUnit XML: one test case a check or a measurement, one failure a finding that is an error or a
//! warning.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::bench::{figure, peer, shape, share};
use crate::check::Diagnosis;
use crate::finding::{Finding, Severity};
use crate::measurement::judge::collective::Outcome;
use crate::measurement::judge::{GpuJudged, Verdict};

/// The report. Ends with a line break.
///
/// # Errors
/// When it has no XML form.
pub fn check(diagnosis: &Diagnosis) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("gpudoctor check");
    for judged in &diagnosis.findings {
        suite.add_test_case(finding(CHECK, &judged.finding));
    }
    for skipped in &diagnosis.skipped {
        suite.add_test_case(skip(CHECK, &skipped.id, &skipped.reason));
    }
    for id in &diagnosis.passed {
        suite.add_test_case(case(CHECK, id, TestCaseStatus::success()));
    }
    written(suite)
}

/// Measurements: a finding each that fails, then what passed, then what was not measured. Ends with a line break.
///
/// # Errors
/// When they have no XML form.
pub fn bench(gpus: &[GpuJudged]) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("gpudoctor bench");
    for gpu in gpus {
        let named = |what: String| format!("{what} (gpu:{})", gpu.measured.device.index);
        for found in &gpu.findings {
            suite.add_test_case(finding(BENCH, found));
        }
        for result in gpu.results.iter().filter(|result| result.verdict == Verdict::Pass) {
            let name = named(format!("{} {}", result.sample.kernel, shape(result)));
            let mut passed = case(BENCH, &name, TestCaseStatus::success());
            let words = [figure(result), share(result)];
            passed.set_system_out(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", "));
            suite.add_test_case(passed);
        }
        for link in gpu.peers.iter().filter(|link| link.verdict == Verdict::Pass) {
            for [name, how, figure, ..] in peer(link) {
                let mut passed = case(BENCH, &named(name), TestCaseStatus::success());
                passed.set_system_out(format!("{figure}, {how}"));
                suite.add_test_case(passed);
            }
        }
        if let Some(together) = &gpu.together {
            match (together.outcome, &together.measured.skipped) {
                (_, Some(reason)) => {
                    suite.add_test_case(skip(BENCH, NCCL, reason));
                }
                (Outcome::Ended(Verdict::Pass), None) => {
                    suite.add_test_case(case(BENCH, NCCL, TestCaseStatus::success()));
                }
                // A finding tells the others.
                _ => {}
            }
        }
        for (name, stop) in gpu.skipped() {
            suite.add_test_case(skip(BENCH, &named(name), stop.reason()));
        }
    }
    written(suite)
}

/// The names of the suites' classes.
const CHECK: &str = "gpudoctor.check";
const BENCH: &str = "gpudoctor.bench";
/// What all GPUs do together.
const NCCL: &str = "nccl all-reduce";

fn written(suite: TestSuite) -> Result<String, SerializeError> {
    let mut report = Report::new("gpudoctor");
    report.add_test_suite(suite);
    let mut text = report.to_string()?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn case(class: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

fn skip(class: &str, name: &str, reason: &str) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(reason);
    case(class, name, status)
}

/// What is only worth knowing is no failure.
fn finding(class: &str, finding: &Finding) -> TestCase {
    let name = format!("{} ({})", finding.id, finding.subject);
    if finding.severity == Severity::Info {
        let mut passed = case(class, &name, TestCaseStatus::success());
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
    case(class, &name, status)
}
