//! One decode step on the device: its pages, its buffers, its launches.

use std::ops::Range;

use super::kernels::{Loaded, Variant};
use super::shape::{Content, Part, Shape, whole};
use crate::bench::cores::on_all;
use crate::bench::data::{Data, Format};
use crate::bench::decode::table;
use crate::bench::deviation::Deviation;
use crate::bench::driver::{Argument, Buffer, Error, Order};
use crate::bench::workbench::Workbench;

/// Tokens that one core takes of a reference at a time.
const SHARE: usize = 4096;

/// Keys and values of everything that is measured, in pages.
pub(super) struct Pools<'a> {
    pub(super) keys: Buffer<'a>,
    pub(super) values: Buffer<'a>,
}

/// A step over sets of pages that take turns.
pub(super) struct Step<'s, 'a> {
    bench: &'s Workbench<'a>,
    pools: &'s Pools<'a>,
    pub(super) shape: Shape,
    variant: Variant,
    /// Data, with the page table of the first set.
    pub(super) content: Content,
    tables: Vec<Buffer<'a>>,
    lengths: Buffer<'a>,
    queries: Buffer<'a>,
    out: Buffer<'a>,
    partials: (Buffer<'a>, Buffer<'a>),
    counters: Buffer<'a>,
}

impl<'s, 'a> Step<'s, 'a> {
    /// New random data in the pools, and up to `sets` sets of scattered pages of them.
    pub(super) fn new(
        bench: &'s Workbench<'a>,
        pools: &'s Pools<'a>,
        variant: Variant,
        shape: Shape,
        blocks: u32,
        sets: usize,
    ) -> Result<Self, Error> {
        let (gpu, kv, format) = (bench.gpu, variant.kv, variant.format);
        let (keys, values, queries) = (Data::values(kv), Data::values(kv), Data::values(format));
        bench.refill(&pools.keys, keys)?;
        bench.refill(&pools.values, values)?;
        let mut pages: Vec<i32> = (0..capacity(pools, &shape, kv) as i32).collect();
        fastrand::shuffle(&mut pages);
        let mut pages = pages.into_iter();
        let mut tables = Vec::new();
        for _ in 0..sets {
            tables.push(table(&shape.lengths, shape.row(), shape.page, &mut pages));
        }
        let content = Content { keys, values, queries, kv, format, table: tables.first().cloned().unwrap_or_default() };
        let outputs = shape.lengths.len() * shape.query_heads * shape.head_size;
        let lengths: Vec<i32> = shape.lengths.iter().map(|length| *length as i32).collect();
        let (partial, maxima) = variant.partial_bytes(blocks);
        Ok(Self {
            bench,
            pools,
            variant,
            content,
            tables: tables.iter().map(|table| gpu.upload(table)).collect::<Result<_, _>>()?,
            lengths: gpu.upload(&lengths)?,
            queries: bench.filled(outputs * 2, queries)?,
            out: gpu.allocate(outputs * 2)?,
            partials: (gpu.allocate(partial)?, gpu.allocate(maxima)?),
            counters: gpu.zeroed(shape.lengths.len() * shape.kv_heads * 4)?,
            shape,
        })
    }

    /// Sets of pages.
    pub(super) fn sets(&self) -> usize {
        self.tables.len()
    }

    /// Makes every slot past the end of a sequence, in its last page of the first set, not a number.
    pub(super) fn poison(&self) -> Result<(), Error> {
        let (shape, size) = (&self.shape, self.variant.kv.size());
        for (sequence, length) in shape.lengths.iter().enumerate() {
            let last = sequence * shape.row() + (length - 1) / shape.page;
            let page = usize::try_from(self.content.table.get(last).copied().unwrap_or(0)).unwrap_or(0);
            for slot in (length - 1) % shape.page + 1..shape.page {
                for head in 0..shape.kv_heads {
                    let at = shape.place(page, slot, head) * size;
                    self.pools.keys.set(at, shape.head_size * size, 0xff)?;
                    self.pools.values.set(at, shape.head_size * size, 0xff)?;
                }
            }
        }
        Ok(())
    }

    /// One launch with set `turn`.
    pub(super) fn launch(&self, loaded: &Loaded, turn: usize, order: Order) -> Result<(), Error> {
        let table = self.tables.get(turn).map_or(0, |table| table.at(0));
        let of = |buffer: &Buffer<'_>| Argument::Wide(buffer.at(0));
        let arguments = [
            of(&self.queries),
            of(&self.pools.keys),
            of(&self.pools.values),
            Argument::Wide(table),
            of(&self.lengths),
            of(&self.out),
            of(&self.partials.0),
            of(&self.partials.1),
            of(&self.counters),
            self.shape.argument(),
        ];
        self.bench.gpu.launch(&loaded.kernel, loaded.blocks, order, &arguments)
    }

    /// The output of one launch with the first set; what the launch does not write is NaN.
    pub(super) fn run(&self, loaded: &Loaded, order: Order) -> Result<Vec<u16>, Error> {
        self.out.set(0, self.out.size(), 0xff)?;
        self.launch(loaded, 0, order)?;
        self.out.read(self.shape.lengths.len() * self.shape.query_heads * self.shape.head_size)
    }
}

/// How far `output` is from the reference for these pairs of a sequence and a query head. No output may be unwritten.
pub(super) fn check(shape: &Shape, content: &Content, output: &[u16], heads: &[(usize, usize)]) -> Deviation {
    // A long sequence is shared among cores, too.
    let of = |(pair, tokens): &((usize, usize), Range<usize>)| shape.part(content, pair.0, pair.1, tokens.clone());
    let tokens = |pair: &(usize, usize)| {
        let length = shape.lengths.get(pair.0).copied().unwrap_or(0);
        (0..length).step_by(SHARE).map(move |from| from..length.min(from + SHARE))
    };
    let shares: Vec<((usize, usize), Range<usize>)> =
        heads.iter().flat_map(|pair| tokens(pair).map(move |tokens| (*pair, tokens))).collect();
    let Some(parts) = on_all(&shares, of) else { return Deviation::fault("the reference could not be computed") };
    let mut parts = parts.into_iter();
    let pairs: Vec<Vec<(f64, f64)>> = heads
        .iter()
        .map(|pair @ (sequence, head)| {
            let parts: Vec<Part> = parts.by_ref().take(tokens(pair).count()).collect();
            let at = (sequence * shape.query_heads + head) * shape.head_size;
            let found = output.iter().skip(at).map(|bits| content.format.value(*bits));
            found.zip(whole(&parts)).collect()
        })
        .collect();
    // Each head by its own size: long contexts average values out, short ones do not.
    let worst = pairs.iter().map(|pairs| Deviation::of(pairs)).fold(Deviation::default(), Deviation::worse);
    let unwritten = output.iter().filter(|bits| content.format.value(**bits).is_nan()).count();
    if unwritten == 0 { worst } else { worst.worse(Deviation::fault(&format!("{unwritten} of {} outputs are not numbers", output.len()))) }
}

/// Pages that the pools hold.
pub(super) fn capacity(pools: &Pools<'_>, shape: &Shape, kv: Format) -> usize {
    pools.keys.size() / (shape.page_values() * kv.size())
}
