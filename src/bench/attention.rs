//! Paged attention of a decode step: one query token for each sequence, keys and values in scattered pages.

mod kernels;
mod shape;
mod step;

use super::data::Format;
use super::decode::{self, Named, Ready};
use super::deviation::Deviation;
use super::driver::{Error, Order};
use super::modules::Kernels;
use super::workbench::Workbench;
use kernels::{Loaded, Timed, Variant};
use shape::{Layout, Shape};
use step::{Pools, Step, capacity};

/// Bytes of the pool of keys, and of that of values.
const POOL: usize = 800 << 20;
/// Most sets of pages that launches take turns over.
const MOST_SETS: usize = 24;
/// Keys whose scores the check of a timed shape computes: enough for several heads of all but the longest contexts.
const CHECKED_TOKENS: usize = 1 << 17;

/// Sequences, tokens of each, query heads and KV heads: one long prompt, batches, and one rank of eight.
const SHAPES: [[usize; 4]; 7] =
    [[1, 131_072, 64, 8], [1, 32_768, 64, 8], [8, 8192, 64, 8], [16, 4096, 64, 8], [64, 2048, 64, 8], [128, 1024, 64, 8], [32, 8192, 8, 1]];
const QUICK: [[usize; 4]; 2] = [[1, 32_768, 64, 8], [16, 4096, 64, 8]];

/// Measures all of it.
pub(super) fn measure(bench: &Workbench<'_>, kernels: &Kernels<'_>) -> Result<(), Error> {
    let size = POOL.min(bench.gpu.free_memory()? / 4) / 4096 * 4096;
    let pools = Pools { keys: bench.gpu.allocate(size)?, values: bench.gpu.allocate(size)? };
    for variant in kernels::variants(bench.gpu, kernels)? {
        if bench.quick && variant.timed == Timed::One {
            continue;
        }
        bench.attempt(&format!("attention-{} {}", variant.kv.name(), variant.what()), || {
            let loaded = variant.load(bench.gpu, kernels)?;
            let small = check(bench, *variant, &loaded, &pools)?;
            let one = [[16, 4096, variant.group * 8, 8]];
            let shapes = match (variant.timed, bench.quick) {
                (Timed::One, _) => &one[..],
                (Timed::All, true) => &QUICK,
                (Timed::All, false) => &SHAPES,
            };
            let overlap = kernels.overlap() && variant.timed == Timed::All;
            shapes.iter().try_for_each(|shape| time(bench, *variant, &loaded, &pools, *shape, overlap, &small))
        })?;
    }
    Ok(())
}

/// Small steps of which every output is checked: one token, full and part pages and tiles, heads alone and in groups, both
/// layouts, a warp with more tiles than it looks up at once; on few blocks, so that they share sequences, and on one.
fn check<'a>(bench: &Workbench<'a>, variant: Variant, loaded: &Loaded, pools: &Pools<'a>) -> Result<Deviation, Error> {
    let (page, group) = (shape::TILE, variant.group);
    let base = Shape { head_size: variant.head_size, ..Shape::even(1, 1, 1, 1) };
    let cases = [
        (Shape { lengths: vec![200, 37, 1, 16, 90], query_heads: 2, kv_heads: 2, ..base.clone() }, 5),
        (Shape { lengths: vec![333, 5], query_heads: group, page: 2 * page, layout: Layout::Hnd, sharpness: 4.0, ..base.clone() }, 3),
        (Shape { lengths: vec![129], query_heads: 10, kv_heads: 2, layout: Layout::Hnd, ..base.clone() }, loaded.blocks),
        (Shape { lengths: vec![2500], query_heads: group, ..base }, 1),
    ];
    let mut worst = Deviation::default();
    for (shape, blocks) in cases {
        let loaded = Loaded { blocks, ..*loaded };
        let step = Step::new(bench, pools, variant, shape, blocks, 1)?;
        step.poison()?;
        let first = step.run(&loaded, Order::After)?;
        let heads: Vec<(usize, usize)> =
            (0..step.shape.lengths.len()).flat_map(|s| (0..step.shape.query_heads).map(move |h| (s, h))).collect();
        worst = worst.worse(step::check(&step.shape, &step.content, &first, &heads));
        // The counters of shared heads must be as they were: the same step again.
        if step.run(&loaded, Order::After)? != first {
            worst = worst.worse(Deviation::fault("a second launch gave another result"));
        }
    }
    Ok(worst)
}

/// Times one shape, and checks some of its heads.
fn time<'a>(
    bench: &Workbench<'a>,
    variant: Variant,
    loaded: &Loaded,
    pools: &Pools<'a>,
    [sequences, length, query_heads, kv_heads]: [usize; 4],
    overlap: bool,
    small: &Deviation,
) -> Result<(), Error> {
    // One byte a value makes a token's head 128 bytes: head by head in the page they stand together, as FlashInfer can have them.
    let (layout, order) = if variant.kv == Format::E4m3 { (Layout::Hnd, ", head by head") } else { (Layout::Nhd, "") };
    let wanted = Shape { head_size: variant.head_size, layout, ..Shape::even(sequences, length, query_heads, kv_heads) };
    let (shape, sets) = fitting(bench, pools, variant, &wanted)?;
    let loaded = &loaded.planned(variant, &shape);
    let step = Step::new(bench, pools, variant, shape, loaded.blocks, sets)?;
    let shape = &step.shape;
    let named = Named {
        kernel: format!("attention-{}", variant.kv.name()),
        shape: format!("{query_heads}/{kv_heads} heads of {}{order} {}", variant.head_size, decode::sequences(&shape.lengths)),
        bytes: shape.bytes(variant.kv),
        flops: shape.flops(),
        error_limit: variant.error_limit(),
        note: decode::note(&shape.lengths, &wanted.lengths),
    };
    let (run, launch) = (|order| step.run(loaded, order), |turn, order| step.launch(loaded, turn, order));
    let ready = Ready { sets: step.sets(), overlap, run: &run, launch: &launch };
    let (content, heads) = (&step.content, heads(shape));
    decode::time(bench, &named, &ready, small, |result| step::check(shape, content, result, &heads))
}

/// The shape, or as long a one as fits, and the number of sets of pages.
fn fitting(bench: &Workbench<'_>, pools: &Pools<'_>, variant: Variant, wanted: &Shape) -> Result<(Shape, usize), Error> {
    let mut shape = wanted.clone();
    loop {
        let need = shape.lengths.len() * shape.row();
        let sets = (capacity(pools, &shape, variant.kv) / need.max(1)).min(MOST_SETS);
        if sets >= 2 && sets * shape.bytes(variant.kv) >= bench.beyond_cache() {
            return Ok((shape, sets));
        }
        let too_little = || Error::Refused(format!("{} MiB for keys are too little", pools.keys.size() >> 20));
        shape.lengths = decode::halved(&shape.lengths, shape.page).ok_or_else(too_little)?;
    }
}

/// The heads that are checked: random ones, as many as take about the same time for every shape.
fn heads(shape: &Shape) -> Vec<(usize, usize)> {
    let length = shape.lengths.iter().max().copied().unwrap_or(1);
    let count = (CHECKED_TOKENS / length.max(1)).clamp(1, 16);
    (0..count).map(|_| (fastrand::usize(..shape.lengths.len()), fastrand::usize(..shape.query_heads))).collect()
}
