//! Advice to fixes: the templates of `rules/advice/` filled with what is known of a machine or a log.

use minijinja::{Environment, Value};

use crate::catalog::{Advice, AdvisedFix, AdvisedRisk};
use crate::expression::environment;
use crate::finding::{Fix, Risk};

/// The fixes of `advice` that hold in `context`, best first. One whose text, command or `verify` names a value that the
/// context does not have is left out, and so is one whose `when` is not true.
///
/// The context is a map of facts, such as `driver.version`; a diagnosis adds `log`, the captures of the line that showed
/// the cause.
pub fn fixes(advice: &Advice, context: &Value) -> Vec<Fix> {
    let environment = environment();
    let mut fixes: Vec<Fix> = Vec::new();
    for fix in advice.fix.iter().filter_map(|fix| rendered(fix, context, &environment)) {
        // What was said for one system is not said again for any.
        if !fixes.iter().any(|other| is_same(other, &fix)) {
            fixes.push(fix);
        }
    }
    fixes
}

/// Whether two fixes are one: the same command, or the same words where at least one of them has no command.
fn is_same(one: &Fix, other: &Fix) -> bool {
    match (&one.command, &other.command) {
        (Some(command), Some(again)) => command == again,
        _ => one.text == other.text,
    }
}

/// Whether `expression` is true in `context`; `None` where it names a value that the context does not have.
pub fn holds(expression: &str, context: &Value) -> Option<bool> {
    let environment = environment();
    let value = environment.compile_expression(expression).ok()?.eval(context).ok()?;
    (!value.is_undefined()).then(|| value.is_true())
}

/// `template` filled from `context`; `None` where it names a value that the context does not have.
pub fn filled(template: &str, context: &Value) -> Option<String> {
    environment().render_str(template, context).ok()
}

fn rendered(fix: &AdvisedFix, context: &Value, environment: &Environment<'_>) -> Option<Fix> {
    if let Some(when) = &fix.when
        && holds(when, context) != Some(true)
    {
        return None;
    }
    let fill = |template: &String| environment.render_str(template, context).ok();
    // A command that cannot be filled takes its fix with it: half of an instruction is none.
    let optional = |template: &Option<String>| match template {
        Some(template) => fill(template).map(Some),
        None => Some(None),
    };
    Some(Fix {
        text: fill(&fix.text)?,
        command: optional(&fix.command)?,
        risk: match fix.risk {
            AdvisedRisk::Safe => Risk::Safe,
            AdvisedRisk::Risky => Risk::Risky,
        },
        needs: fix.needs.clone(),
        verify: optional(&fix.verify)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn advice(toml: &str) -> Advice {
        let files = vec![("advice/x.toml".into(), format!("sources = [\"a test\"]\n{toml}"))];
        Catalog::with_overlay(files).ok().and_then(|catalog| catalog.advice("x")).expect("a valid advice")
    }

    fn texts(advice: &Advice, context: &Value) -> Vec<String> {
        fixes(advice, context).into_iter().map(|fix| fix.text).collect()
    }

    /// A fix speaks of values; without them it is left out.
    #[test]
    fn a_fix_that_names_an_unknown_value_is_left_out() {
        let advice = advice("[[fix]]\ntext = \"install {{ cuda.driver }}\"\n[[fix]]\ntext = \"install a newer driver\"\n");
        assert_eq!(texts(&advice, &minijinja::context! {}), ["install a newer driver"]);
        let known = minijinja::context! { cuda => minijinja::context! { driver => "580" } };
        assert_eq!(texts(&advice, &known), ["install 580", "install a newer driver"]);
    }

    /// A fix for one system comes before the one for any, which then is the same again.
    #[test]
    fn what_was_said_is_not_said_again() {
        let first = "[[fix]]\ntext = \"install it\"\ncommand = \"apt install x\"\n";
        let again = "[[fix]]\ntext = \"install it\"\n[[fix]]\ntext = \"or so\"\ncommand = \"apt install x\"\n[[fix]]\ntext = \"else\"\n";
        assert_eq!(texts(&advice(&format!("{first}{again}")), &minijinja::context! {}), ["install it", "else"]);
    }

    #[test]
    fn a_condition_must_be_true() {
        let advice = advice("[[fix]]\ntext = \"a\"\nwhen = \"os.name == 'ubuntu'\"\n[[fix]]\ntext = \"b\"\nwhen = \"os\"\n");
        assert!(texts(&advice, &minijinja::context! {}).is_empty());
        let debian = minijinja::context! { os => minijinja::context! { name => "debian" } };
        assert_eq!(texts(&advice, &debian), ["b"]);
    }

    #[test]
    fn an_undefined_name_is_neither_true_nor_false() {
        assert_eq!(holds("gone", &minijinja::context! {}), None);
        assert_eq!(holds("gone.deeper == 1", &minijinja::context! {}), None);
        assert_eq!(holds("false and gone", &minijinja::context! {}), Some(false));
    }
}
