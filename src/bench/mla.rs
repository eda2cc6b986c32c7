//! Decode of multi-head latent attention (MLA): one query token for each sequence, all heads over one latent row a token.

mod kernels;
mod shape;
mod step;

use super::data::Format;
use super::decode::{self, Named, Ready};
use super::deviation::Deviation;
use super::driver::{Error, Order};
use super::modules::Kernels;
use super::workbench::Workbench;
use kernels::{Loaded, Variant};
use shape::Shape;
use step::{Pool, Step};

/// Bytes of the pool of latent rows.
const POOL: usize = 1 << 30;
/// Most sets of pages that launches take turns over.
const MOST_SETS: usize = 24;
/// Tokens whose scores the check of a timed shape computes.
const CHECKED_TOKENS: usize = 1 << 17;
/// Tokens of a page: what FlashMLA takes.
const PAGE: usize = 64;
/// The largest error that rounding of weights and outputs to bf16 explains, as a share of the root mean square of the outputs.
const ERROR_LIMIT: f64 = 0.03;

/// Query heads, sequences, tokens of each: all heads of DeepSeek-V3 on each card, as data parallelism has them, and one rank of eight.
const SHAPES: [[usize; 3]; 5] = [[128, 16, 4096], [128, 1, 32_768], [128, 64, 2048], [16, 16, 4096], [16, 64, 2048]];
const QUICK: [[usize; 3]; 2] = [[128, 16, 4096], [16, 16, 4096]];

/// Measures all of it.
pub(super) fn measure(bench: &Workbench<'_>, kernels: &Kernels<'_>) -> Result<(), Error> {
    let pool = Pool::new(bench, POOL.min(bench.gpu.free_memory()? / 4))?;
    for variant in &kernels::VARIANTS {
        bench.attempt(&format!("mla-bf16 {} heads a block", variant.heads), || {
            let loaded = variant.load(bench.gpu, kernels)?;
            let small = check(bench, &loaded, &pool)?;
            let shapes = if bench.quick { &QUICK[..] } else { &SHAPES };
            let own = shapes.iter().filter(|[heads, ..]| variant.serves(*heads));
            own.copied().try_for_each(|shape| time(bench, &loaded, &pool, shape, kernels.overlap(), &small))
        })?;
    }
    Ok(())
}

/// Small steps of which every output is checked: one token, full and part pages and tiles, all heads in a block and in several;
/// on few blocks, so that they share sequences from their first tile on and from a later one, on all, and on one.
fn check<'a>(bench: &Workbench<'a>, loaded: &Loaded, pool: &Pool<'a>) -> Result<Deviation, Error> {
    let heads = loaded.variant.heads;
    let cases = [
        (Shape { lengths: vec![60, 100, 1, 16, 50], page: 16, ..Shape::even(heads, 1, 1) }, 3),
        (Shape { lengths: vec![110, 5], page: 64, sharpness: 4.0, ..Shape::even(2 * heads, 1, 1) }, 6),
        (Shape { lengths: vec![129], page: 32, ..Shape::even(heads, 1, 1) }, loaded.blocks),
        (Shape { lengths: vec![180, 40], page: 16, ..Shape::even(heads, 1, 1) }, 1),
    ];
    let mut worst = Deviation::default();
    for (shape, blocks) in cases {
        let loaded = loaded.on(blocks);
        let step = Step::new(bench, pool, &loaded, shape, 1)?;
        step.poison()?;
        let first = step.run(&loaded, Order::After)?;
        let pairs: Vec<_> = (0..step.shape.lengths.len()).flat_map(|s| (0..step.shape.heads).map(move |h| (s, h))).collect();
        worst = worst.worse(shape::check(&step.shape, &step.content, &first, &pairs));
        if step.run(&loaded, Order::After)? != first {
            worst = worst.worse(Deviation::fault("a second launch gave another result"));
        }
    }
    Ok(worst)
}

/// Times one shape, and checks some of its heads.
fn time<'a>(
    bench: &Workbench<'a>,
    loaded: &Loaded,
    pool: &Pool<'a>,
    [heads, sequences, length]: [usize; 3],
    overlap: bool,
    small: &Deviation,
) -> Result<(), Error> {
    let wanted = Shape { page: PAGE, ..Shape::even(heads, sequences, length) };
    let (shape, sets) = fitting(bench, pool, &wanted)?;
    let loaded = &loaded.planned(&shape);
    let step = Step::new(bench, pool, loaded, shape, sets)?;
    let shape = &step.shape;
    let named = Named {
        kernel: format!("mla-{}", Format::Bf16.name()),
        shape: format!("{heads} heads {}", decode::sequences(&shape.lengths)),
        bytes: shape.bytes(),
        flops: shape.flops(),
        error_limit: ERROR_LIMIT,
        note: decode::note(&shape.lengths, &wanted.lengths),
    };
    let (run, launch) = (|order| step.run(loaded, order), |turn, order| step.launch(loaded, turn, order));
    let ready = Ready { sets: step.sets(), overlap, run: &run, launch: &launch };
    let (content, pairs) = (&step.content, pairs(shape));
    decode::time(bench, &named, &ready, small, |result| shape::check(shape, content, result, &pairs))
}

/// The shape, or as long a one as fits, and the number of sets of pages.
fn fitting(bench: &Workbench<'_>, pool: &Pool<'_>, wanted: &Shape) -> Result<(Shape, usize), Error> {
    let mut shape = wanted.clone();
    loop {
        let need = shape.lengths.len() * shape.row();
        let sets = (pool.pages(&shape) / need.max(1)).min(MOST_SETS);
        if sets >= 2 && sets * shape.bytes() >= bench.beyond_cache() {
            return Ok((shape, sets));
        }
        let too_little = || Error::Refused(format!("{} MiB for latent rows are too little", pool.size() >> 20));
        shape.lengths = decode::halved(&shape.lengths, shape.page).ok_or_else(too_little)?;
    }
}

/// What is checked: some heads of random sequences, as many as take about the same time for every shape.
fn pairs(shape: &Shape) -> Vec<(usize, usize)> {
    let length = shape.lengths.iter().max().copied().unwrap_or(1);
    let count = (CHECKED_TOKENS / length.max(1)).clamp(1, 16);
    let sequences: Vec<usize> = (0..count.div_ceil(4)).map(|_| fastrand::usize(..shape.lengths.len())).collect();
    sequences.into_iter().flat_map(|sequence| (0..4).map(move |_| (sequence, fastrand::usize(..shape.heads)))).collect()
}

impl Variant {
    /// Whether it is the one that is timed with so many heads: the one that shares rows among most of them.
    fn serves(&self, heads: usize) -> bool {
        let best = kernels::VARIANTS.iter().filter(|variant| heads.is_multiple_of(variant.heads)).map(|variant| variant.heads).max();
        best == Some(self.heads)
    }
}
