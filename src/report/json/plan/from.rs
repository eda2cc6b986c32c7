//! From the inner types to the contract.

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    AllReduces, Alternative, Budget, Decision, Decode, Device, Engine, Finding, Input, Interpretation, KvCache, Launch, Model, Performance,
    PlanReport, Reason, Rejected, SCHEMA, Term, Validation, Way, Ways,
};
use crate::engine::arguments::Arguments;
use crate::model::spec::{ModelSpec, Origin};
use crate::plan::interconnect::Reach;
use crate::plan::{budget, outcome, ways};
use crate::report::command;

impl From<&outcome::Plan> for PlanReport {
    fn from(plan: &outcome::Plan) -> Self {
        Self {
            schema: SCHEMA,
            exit_code: u8::from(!plan.verdict.is_good()),
            verdict: plan.verdict.id(),
            reasons: plan.reasons.iter().map(Reason::from).collect(),
            interpretations: plan
                .interpretations
                .iter()
                .map(|line| Interpretation { given: line.given.clone(), meaning: line.meaning.clone() })
                .collect(),
            model: Model::from(&plan.model),
            engine: Engine::from(&plan.engine),
            devices: vec![Device::from(&plan.devices)],
            launch: Launch {
                args: arguments(&plan.args),
                env: plan
                    .env
                    .iter()
                    .map(|(name, variable)| (name.clone(), command::shown_variable(name, &variable.value).to_owned()))
                    .collect(),
                command: command::line(plan),
            },
            budget: plan.budget.as_ref().map(Budget::from),
            performance: Performance::from(&plan.performance),
            decisions: plan.decisions.iter().map(Decision::from).collect(),
            findings: plan.findings.iter().map(Finding::from).collect(),
            alternatives: plan.alternatives.iter().map(Alternative::from).collect(),
            rejected: plan.rejected.iter().map(Rejected::from).collect(),
            validation: plan.validation.iter().map(Validation::from).collect(),
            artifacts: Vec::new(),
        }
    }
}

fn arguments(args: &Arguments) -> IndexMap<String, Value> {
    args.0.iter().map(|(flag, argument)| (flag.clone(), command::shown(flag, &argument.value))).collect()
}

impl From<&outcome::Reason> for Reason {
    fn from(reason: &outcome::Reason) -> Self {
        Self { code: reason.code.clone(), message: reason.message.clone(), short_by_bytes: reason.short_by.map(|short| short.0) }
    }
}

impl From<&ModelSpec> for Model {
    fn from(model: &ModelSpec) -> Self {
        let source = match &model.origin {
            Origin::Catalogue { file } => format!("catalogue: {file}"),
            Origin::Config { place } => format!("config: {place}"),
            Origin::Checkpoint { place, .. } => format!("checkpoint: {place}"),
        };
        Self {
            id: model.id.clone(),
            architecture: model.architecture.clone(),
            parameters: model.parameters.total,
            active_parameters: model.parameters.active,
            context_length: model.context_length,
            source,
            assumed: model.assumed.clone(),
        }
    }
}

impl From<&outcome::EngineRelease> for Engine {
    fn from(engine: &outcome::EngineRelease) -> Self {
        Self {
            name: engine.name.clone(),
            version: engine.version.to_string(),
            torch: engine.torch.clone(),
            cuda: engine.cuda.clone(),
            min_driver: engine.min_driver.to_string(),
            image: engine.image.clone(),
        }
    }
}

impl From<&outcome::Devices> for Device {
    fn from(devices: &outcome::Devices) -> Self {
        Self {
            name: devices.name.clone(),
            count: devices.count,
            memory_bytes: devices.memory.0,
            limit_bytes: devices.limit.0,
            assumed: devices.assumed.clone(),
        }
    }
}

impl From<&budget::Budget> for Budget {
    fn from(budget: &budget::Budget) -> Self {
        Self {
            memory_total_bytes: budget.memory_total.0,
            requested_bytes: budget.requested.0,
            terms: budget.terms.iter().map(Term::from).collect(),
            kv_cache: KvCache::from(&budget.kv_cache),
            device_used_bytes: budget.device_used.expected.0,
            device_used_high_bytes: budget.device_used.high.0,
            host_memory_bytes: budget.host_memory.0,
        }
    }
}

impl From<&budget::Term> for Term {
    fn from(term: &budget::Term) -> Self {
        Self {
            name: term.name.id(),
            bytes: term.size.expected.0,
            low: term.size.low.0,
            high: term.size.high.0,
            formula: term.formula.clone(),
            inputs: term.inputs.iter().map(Input::from).collect(),
            inside_requested: term.inside_requested,
        }
    }
}

impl From<&budget::Input> for Input {
    fn from(input: &budget::Input) -> Self {
        Self { name: input.name.clone(), value: input.value.clone(), source: input.source.clone() }
    }
}

impl From<&budget::KvCache> for KvCache {
    fn from(cache: &budget::KvCache) -> Self {
        Self {
            bytes: cache.bytes.0,
            tokens: cache.tokens,
            blocks: cache.blocks,
            block_size: cache.block_size,
            bytes_per_token: cache.bytes_per_token.0,
            max_concurrency: cache.max_concurrency,
        }
    }
}

impl From<&outcome::Performance> for Performance {
    fn from(performance: &outcome::Performance) -> Self {
        Self {
            basis: if performance.source.is_some() { "measured" } else { "nominal" },
            source: performance.source.clone(),
            decode: performance.decode.iter().map(Decode::from).collect(),
            ways: performance.ways.as_ref().map(Ways::from),
        }
    }
}

impl From<&ways::Comparison> for Ways {
    fn from(ways: &ways::Comparison) -> Self {
        let others = ways.others.iter().map(|served| Way::new(served, false));
        let compared = std::iter::once(Way::new(&ways.chosen, true)).chain(others).collect();
        Self { source: ways.source.clone(), compared }
    }
}

impl Way {
    fn new(served: &ways::Served, chosen: bool) -> Self {
        Self {
            tensor_parallel_size: served.way.tensor,
            pipeline_parallel_size: served.way.pipeline,
            chosen,
            requests: served.requests,
            step_ms: served.step.0,
            exchange_ms: served.exchange.0,
            prefill_ms: served.prefill.0,
            tokens_per_second: served.tokens_per_second,
            all_reduces: served.reductions.map(|one| AllReduces {
                count: one.count,
                bytes: one.bytes.0,
                each_us: one.each.time.0 * 1e3,
                reach: match one.each.reach {
                    Reach::Between => "between",
                    Reach::Smallest(_) => "smallest",
                    Reach::Largest(_) => "largest",
                },
            }),
        }
    }
}

impl From<&outcome::Decode> for Decode {
    fn from(decode: &outcome::Decode) -> Self {
        Self {
            batch: decode.batch,
            context: decode.context,
            step_ms: decode.step.0,
            exchange_ms: decode.exchange.0,
            tokens_per_second: decode.tokens_per_second,
            bound_by: decode.bound_by.id(),
            host_link: decode.host_link.clone(),
        }
    }
}

impl From<&outcome::Decision> for Decision {
    fn from(decision: &outcome::Decision) -> Self {
        Self { flag: decision.flag.clone(), value: decision.value.clone(), why: decision.why.clone() }
    }
}

impl From<&outcome::Alternative> for Alternative {
    fn from(other: &outcome::Alternative) -> Self {
        Self {
            change: other.change.clone(),
            verdict: other.verdict.id(),
            args: arguments(&other.args),
            device_used_bytes: other.device_used.0,
            kv_tokens: other.kv_tokens,
            tokens_per_second: other.tokens_per_second,
        }
    }
}

impl From<&outcome::Rejected> for Rejected {
    fn from(rejected: &outcome::Rejected) -> Self {
        Self {
            change: rejected.change.clone(),
            code: rejected.reason.code.clone(),
            reason: rejected.reason.message.clone(),
            short_by_bytes: rejected.reason.short_by.map(|short| short.0),
        }
    }
}

impl From<&outcome::Validation> for Validation {
    fn from(line: &outcome::Validation) -> Self {
        Self { id: line.id.clone(), statement: line.statement.clone(), holds: line.holds }
    }
}
