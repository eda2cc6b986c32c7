//! What the figures of a log say beside its causes: the start of the engine, and what to set where memory was the cause.

use crate::diagnose::Diagnosis;
use crate::startup::{Answer, Figures, Known, Start, Summary};

/// Causes that are answered with figures; the others are less likely than all of these.
const ANSWERED: usize = 3;

/// The figures of a log, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arithmetic {
    /// What the last start came to; `None` where the log has no figures of one.
    pub summary: Option<Summary>,
    /// Answers to causes, by the causes' ids.
    pub answers: Vec<(String, Answer)>,
    /// The answer to a failure of memory of the last start that no cause accounts for.
    pub other: Option<Answer>,
}

impl Arithmetic {
    /// What the figures say to the causes of `diagnosis`.
    pub fn new(diagnosis: &Diagnosis, figures: &Figures, known: &Known<'_>) -> Self {
        let mut computed: Vec<(u64, Start<'_>)> = Vec::new();
        let mut answers = Vec::new();
        let causes = diagnosis.causes.iter().filter_map(|cause| Some((cause, cause.memory?)));
        for (cause, topic) in causes.take(ANSWERED) {
            let Some(run) = figures.at(cause.first) else { continue };
            if computed.iter().all(|(line, _)| *line != run.first_line) {
                computed.push((run.first_line, Start::new(run, known)));
            }
            let start = computed.iter().find(|(line, _)| *line == run.first_line);
            let answer = start.and_then(|(_, start)| start.answer(topic, cause.first));
            answers.extend(answer.map(|answer| (cause.id.clone(), answer)));
        }
        let Some(last) = figures.last() else { return Self { summary: None, answers, other: None } };
        let known_start = computed.iter().position(|(line, _)| *line == last.first_line);
        let start = match known_start {
            Some(index) => computed.swap_remove(index).1,
            None => Start::new(last, known),
        };
        let other = if diagnosis.causes.is_empty() { start.first_answer() } else { None };
        Self { summary: start.summary(), answers, other }
    }

    /// The answer to a cause.
    pub fn answer(&self, cause: &str) -> Option<&Answer> {
        self.answers.iter().find(|(id, _)| id == cause).map(|(_, answer)| answer)
    }
}
