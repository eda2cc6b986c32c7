//! Whole logs of starts: what is read from them, what would have fitted, and how far the plan was off.

#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use gpudoctor::catalog::{Catalog, MemoryTopic};
use gpudoctor::startup::{Figures, Known, Start};

#[test]
fn explore() {
    let catalog = Catalog::builtin();
    for (name, gpu) in
        [("bitsandbytes-healthy", Some("rtx 3080 20gb")), ("no-cache-blocks", Some("rtx 3080 20gb")), ("graphs-out-of-memory", None)]
    {
        let text = fs_err::read_to_string(format!("tests/startup/{name}.log")).unwrap();
        let mut figures = Figures::default();
        for (index, line) in text.lines().enumerate() {
            figures.observe(index as u64 + 1, None, line);
        }
        let devices = gpu.map(|gpu| {
            gpudoctor::plan::target::devices(
                &gpudoctor::plan::request::Target { gpu: Some(gpu.to_owned()), count: 2, ..Default::default() },
                &catalog,
            )
            .unwrap()
            .0
        });
        let known = Known { catalog: &catalog, model: None, devices };
        let start = Start::new(figures.last().unwrap(), &known);
        println!("=== {name}");
        println!("{:#?}", start.summary());
        for topic in [MemoryTopic::Kv, MemoryTopic::Oom] {
            println!("{:#?}", start.answer(topic, 1));
        }
    }
    let _ = panic!("x");
}
