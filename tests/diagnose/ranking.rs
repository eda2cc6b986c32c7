//! Which of several matches is the cause. The rules here are made up, so that each test is about one thing.

use gpudoctor::diagnose::{Examiner, Machine, Patterns, Verdict};

use crate::{causes, diagnosed, made_up};

const DISK: (&str, &str) = ("t-disk", "[[pattern]]\nprogram = \"x\"\nregex = 'the disk of the test is full'\n");
const PORT: (&str, &str) = ("t-port", "[[pattern]]\nprogram = \"x\"\nregex = 'the port of the test is taken'\n");

/// What an entry explains comes behind it, wherever it stands in the log.
#[test]
fn a_cause_comes_before_what_it_explains() {
    let rules = made_up(&[("t-disk", &format!("explains = [\"t-port\"]\n{}", DISK.1)), PORT]);
    let rules = Patterns::new(&rules);
    let diagnosis = diagnosed("the port of the test is taken\nthe disk of the test is full\n", &rules);
    assert_eq!(diagnosis.causes.iter().map(|named| named.id.as_str()).collect::<Vec<_>>(), ["t-disk"]);
    assert_eq!(diagnosis.causes[0].explains.iter().map(|other| (other.id.as_str(), other.first)).collect::<Vec<_>>(), [("t-port", 1)]);
}

/// A class can be explained as a whole.
#[test]
fn a_root_is_explained_with_all_its_causes() {
    let rules = made_up(&[("t-disk", &format!("explains = [\"root:port-in-use\"]\n{}", DISK.1)), PORT]);
    let rules = Patterns::new(&rules);
    assert_eq!(causes("the port of the test is taken\nthe disk of the test is full\n", &rules), ["t-disk"]);
}

/// Of causes that are equally sure the one that was printed first came first.
#[test]
fn the_earlier_of_equals_comes_first() {
    let rules = made_up(&[DISK, PORT]);
    let rules = Patterns::new(&rules);
    assert_eq!(causes("the port of the test is taken\nthe disk of the test is full\n", &rules), ["t-port", "t-disk"]);
    assert_eq!(causes("the disk of the test is full\nthe port of the test is taken\n", &rules), ["t-disk", "t-port"]);
}

/// A surer text wins over an earlier one.
#[test]
fn the_surest_comes_first() {
    let vague = format!("{}confidence = 0.4\n", PORT.1);
    let rules = made_up(&[DISK, ("t-port", &vague)]);
    let rules = Patterns::new(&rules);
    assert_eq!(causes("the port of the test is taken\nthe disk of the test is full\n", &rules), ["t-disk", "t-port"]);
}

/// Programs go on after warnings: what stopped them was not printed as one.
#[test]
fn an_error_comes_before_a_warning() {
    let rules = made_up(&[DISK, PORT]);
    let rules = Patterns::new(&rules);
    assert_eq!(causes("WARNING the port of the test is taken\nERROR the disk of the test is full\n", &rules), ["t-disk", "t-port"]);
}

/// A text that says only that something failed is never the cause, and tells what to look for.
#[test]
fn a_wrapper_is_no_cause() {
    let wrapper = "kind = \"wrapper\"\nlook_for = \"the first error of the child\"\n[[pattern]]\nprogram = \"x\"\nregex = 'the child of the test failed'\n";
    let rules = made_up(&[("t-wrapper", wrapper), DISK]);
    let rules = Patterns::new(&rules);
    let alone = diagnosed("the child of the test failed\n", &rules);
    assert_eq!(alone.verdict, Verdict::NotInThisLog);
    assert_eq!(alone.wrappers[0].look_for.as_deref(), Some("the first error of the child"));
    let both = diagnosed("the child of the test failed\nthe disk of the test is full\n", &rules);
    assert_eq!((both.verdict, both.causes[0].id.as_str(), both.causes[0].explains[0].id.as_str()), (Verdict::Found, "t-disk", "t-wrapper"));
}

const FORK: (&str, &str) = (
    "t-fork",
    "kind = \"fork\"\n\
     [[pattern]]\nprogram = \"x\"\nregex = 'the test cannot write'\n\
     [[branch]]\ncause = \"t-disk\"\nshare = 0.6\nif_log = ['100% full']\nif_fact = 'disk.free == 0'\nquestion = \"is the disk full?\"\ncommand = \"df -h\"\n\
     [[branch]]\ncause = \"t-port\"\nshare = 0.3\nunless_log = ['the port is free']\n",
);

/// A text of several causes names them all, with the question that decides.
#[test]
fn an_open_fork_is_ambiguous() {
    let diagnosis = diagnosed("the test cannot write\n", &Patterns::new(&made_up(&[FORK, DISK, PORT])));
    assert_eq!(diagnosis.verdict, Verdict::Ambiguous);
    assert_eq!(diagnosis.causes.iter().map(|named| named.id.as_str()).collect::<Vec<_>>(), ["t-disk", "t-port"]);
    assert!((diagnosis.causes[0].confidence - 0.54).abs() < 1e-9, "{}", diagnosis.causes[0].confidence);
    assert_eq!(diagnosis.causes[0].question.as_ref().and_then(|question| question.command.as_deref()), Some("df -h"));
}

/// A line, a fact of the machine, the cause's own text, or the end of all others settles it.
#[test]
fn evidence_settles_a_fork() {
    let rules = made_up(&[FORK, DISK, PORT]);
    let rules = Patterns::new(&rules);
    let settled = |log: &str| {
        let diagnosis = diagnosed(log, &rules);
        (diagnosis.verdict, diagnosis.causes[0].id.clone())
    };
    assert_eq!(settled("the test cannot write\n/dev/sda 100% full\n"), (Verdict::Found, "t-disk".to_owned()));
    assert_eq!(settled("the test cannot write\nthe port is free\n"), (Verdict::Found, "t-disk".to_owned()));
    assert_eq!(settled("the test cannot write\nthe port of the test is taken\n"), (Verdict::Found, "t-port".to_owned()));
    let mut examiner = Examiner::new(&rules);
    examiner.read("the test cannot write\n".as_bytes()).expect("a log");
    let full = Machine::of(&serde_json::json!({"disk": {"free": 0}}));
    let settled = examiner.finish(&full).causes.remove(0);
    assert_eq!((settled.id.as_str(), settled.evidence[0].fact.as_str()), ("t-disk", "disk.free"));
}

/// Other lines of the log can be asked for, anywhere or nearby, or must not be there.
#[test]
fn other_lines_decide_whether_a_text_counts() {
    let text = |more: &str| format!("[[pattern]]\nprogram = \"x\"\nregex = 'the disk of the test is full'\n{more}\n");
    let far = format!("here it is\n{}the disk of the test is full\n", "another line\n".repeat(40));
    for (more, log, counts) in [
        ("with = ['here it is']", far.as_str(), true),
        ("with = ['here it is']", "the disk of the test is full\n", false),
        ("without = ['here it is']", far.as_str(), false),
        ("near = ['here it is']", far.as_str(), false),
        ("near = ['here it is']", "the disk of the test is full\nhere it is\n", true),
    ] {
        let rules = made_up(&[("t-disk", &text(more))]);
        let rules = Patterns::new(&rules);
        assert_eq!(!causes(log, &rules).is_empty(), counts, "{more} in {log:.60}");
    }
}

/// Figures come from the matched line, and from others: the last before it, else the first after.
#[test]
fn messages_take_figures_from_the_log() {
    let rule = "messages = [\"{{ need }} of {{ have }} GiB are free\", \"too little is free\"]\n\
                [[pattern]]\nprogram = \"x\"\nregex = 'the test needs (?P<need>\\d+) GiB'\ncaptures_from = ['has (?P<have>\\d+) GiB']\n";
    let rules = made_up(&[("t-disk", rule)]);
    let rules = Patterns::new(&rules);
    let message = |log: &str| diagnosed(log, &rules).causes[0].message.clone();
    assert_eq!(message("has 1 GiB\nhas 2 GiB\nthe test needs 7 GiB\nhas 3 GiB\n").as_deref(), Some("7 of 2 GiB are free"));
    assert_eq!(message("the test needs 7 GiB\nhas 3 GiB\n").as_deref(), Some("7 of 3 GiB are free"));
    assert_eq!(message("the test needs 7 GiB\n").as_deref(), Some("too little is free"));
}

/// The process that failed first is named, though another printed more.
#[test]
fn the_first_failing_rank_is_named() {
    let log = "(VllmWorker rank=1 pid=7) the disk of the test is full\n(VllmWorker rank=0 pid=6) the disk of the test is full\n";
    let diagnosis = diagnosed(log, &Patterns::new(&made_up(&[DISK])));
    let line = &diagnosis.causes[0].lines[0];
    assert_eq!((line.source.rank, line.source.pid, diagnosis.causes[0].count), (Some(1), Some(7), 2));
}

/// A quoted line carries no secret.
#[test]
fn quotations_are_redacted() {
    let diagnosis = diagnosed("the disk of the test is full: /home/anna/x HF_TOKEN=abcDEF123456\n", &Patterns::new(&made_up(&[DISK])));
    assert_eq!(diagnosis.causes[0].lines[0].text, "the disk of the test is full: /home/<user>/x HF_TOKEN=<redacted>");
}
