//! From options to a request: what only all options together can say.

use indexmap::IndexMap;

use crate::cli::values::DeviceMemory;
use crate::cli::{RequestOptions, Usage};
use crate::engine::arguments::Arguments;
use crate::engine::launch::UsageContext;
use crate::error::Error;
use crate::plan::request::{ModelAccess, PlanRequest, Subject, Target};

impl RequestOptions {
    /// Whether anything was said about what to plan.
    pub const fn is_empty(&self) -> bool {
        self.model.is_none() && self.config.is_none()
    }

    /// The request that these options make, on the devices of `machine` where there is one.
    ///
    /// # Errors
    /// When a subject or a device is missing, or when two options contradict each other.
    pub fn request(&self, machine: Option<Target>) -> Result<PlanRequest, Error> {
        Ok(PlanRequest {
            subject: self.subject()?,
            target: machine.map_or_else(|| self.target(), Ok)?,
            engine: self.engine.clone(),
            usage: match self.usage_context {
                Usage::Serve => UsageContext::Serve,
                Usage::Llm => UsageContext::LlmClass,
            },
            context: self.context,
            concurrency: self.concurrency,
            quantization: self.quantization.clone(),
            fixed: self.fixed()?,
            env: self.environment()?,
            bind: self.bind,
            host_memory: self.host_memory.as_ref().map(|given| given.bytes),
            access: ModelAccess { offline: self.offline, revision: self.revision.clone() },
        })
    }

    fn subject(&self) -> Result<Subject, Error> {
        match (&self.config, &self.model) {
            (Some(file), model) => Ok(Subject::Configuration { file: file.clone(), model: model.clone() }),
            (None, Some(model)) => Ok(Subject::Model(model.clone())),
            (None, None) => Err(Error::usage("nothing to plan was named; `--model` or `--config` is needed")
                .with_hint("name a model, such as `--model Qwen/Qwen3-8B` or `--model 70b`")
                .with_hint("name an engine configuration to judge, such as `--config serve.yaml`")),
        }
    }

    fn target(&self) -> Result<Target, Error> {
        let (vram, profile) = match &self.vram {
            Some(DeviceMemory::Size(size)) => (Some(size.clone()), None),
            Some(DeviceMemory::MigProfile(profile)) => (None, Some(profile.clone())),
            None => (None, None),
        };
        if let (Some(profile), Some(gpu)) = (&profile, &self.gpu) {
            return Err(Error::usage(format!("`--vram {profile}` is a MIG profile and names a device, as does `--gpu {gpu}`"))
                .with_hint(format!("name the profile with `--gpu {profile}`, and a limit on it with `--vram`")));
        }
        let gpu = self.gpu.clone().or(profile);
        if vram.is_none() && gpu.is_none() {
            return Err(Error::usage("no device was named; `--vram` or `--gpu` is needed")
                .with_hint("say how much device memory the server may take, such as `--vram 7g`")
                .with_hint("name the card, such as `--gpu \"rtx 3060\"`, and how many with `--gpus`"));
        }
        Ok(Target { vram, gpu, count: self.gpus.unwrap_or(1), driver: self.target_driver.clone() })
    }

    fn fixed(&self) -> Result<Arguments, Error> {
        let mut fixed = IndexMap::new();
        for (flag, argument) in &self.set {
            if fixed.insert(flag.clone(), argument.clone()).is_some() {
                return Err(Error::usage(format!("`--set {flag}` is given twice")).with_hint("keep one of them"));
            }
        }
        for (flag, option, given) in [
            ("max-model-len", "--context", self.context.is_some()),
            ("max-num-seqs", "--concurrency", self.concurrency.is_some()),
            ("quantization", "--quantization", self.quantization.is_some()),
        ] {
            if given && fixed.contains_key(flag) {
                return Err(Error::usage(format!("`{option}` and `--set {flag}` set the same flag")).with_hint("keep one of them"));
            }
        }
        Ok(Arguments(fixed))
    }

    fn environment(&self) -> Result<IndexMap<String, String>, Error> {
        let mut environment = IndexMap::new();
        for (name, value) in &self.env {
            if environment.insert(name.clone(), value.clone()).is_some() {
                return Err(Error::usage(format!("`--env {name}` is given twice")).with_hint("keep one of them"));
            }
        }
        Ok(environment)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn request(options: &str) -> Result<PlanRequest, Error> {
        let words = ["gpudoctor", "plan"].into_iter().chain(options.split(' '));
        match Cli::try_parse_from(words).expect("the test's own command line").command {
            Command::Plan(command) => command.request.request(None),
            _ => unreachable!("the test's own command is `plan`"),
        }
    }

    #[test]
    fn a_model_and_a_size_are_enough() {
        let request = request("--model 70b --vram 7g").expect("a request");
        assert_eq!(request.subject, Subject::Model("70b".to_owned()));
        assert_eq!(request.target.vram.map(|size| size.text), Some("7g".to_owned()));
        assert_eq!((request.target.gpu, request.target.count), (None, 1));
    }

    #[test]
    fn a_mig_profile_names_the_device() {
        let request = request("--model 8b --vram 1g.10gb").expect("a request");
        assert_eq!((request.target.gpu, request.target.vram), (Some("1g.10gb".to_owned()), None));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for options in [
            "--model 8b",
            "--vram 7g",
            "--model 8b --vram 7g.80gb --gpu h100",
            "--model 8b --vram 7g --set max-num-seqs=8 --set max_num_seqs=9",
            "--model 8b --vram 7g --context 8k --set max-model-len=4096",
            "--model 8b --vram 7g --env A=1 --env A=2",
        ] {
            let error = request(options).expect_err(options);
            assert!(error.kind.exit_code() == 2 && !error.hints.is_empty(), "{options}: {error}");
        }
    }
}
