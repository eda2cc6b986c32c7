//! One decode step on the device: its pages, its buffers, its launches.

use super::kernels::Loaded;
use super::shape::{Content, LATENT, Shape, VALUES};
use crate::bench::data::{Data, Format};
use crate::bench::decode::table;
use crate::bench::driver::{Argument, Buffer, Error, Order};
use crate::bench::workbench::Workbench;

/// Latent rows of everything that is measured, in pages.
pub(super) struct Pool<'a>(Buffer<'a>);

impl<'a> Pool<'a> {
    /// A pool of about so many bytes.
    pub(super) fn new(bench: &Workbench<'a>, size: usize) -> Result<Self, Error> {
        Ok(Self(bench.gpu.allocate(size / 4096 * 4096)?))
    }

    pub(super) fn size(&self) -> usize {
        self.0.size()
    }

    /// Pages of a shape that it holds.
    pub(super) fn pages(&self, shape: &Shape) -> usize {
        self.0.size() / (shape.page * VALUES * 2)
    }
}

/// A step over sets of pages that take turns.
pub(super) struct Step<'s, 'a> {
    bench: &'s Workbench<'a>,
    pool: &'s Pool<'a>,
    pub(super) shape: Shape,
    /// Data, with the page table of the first set.
    pub(super) content: Content,
    tables: Vec<Buffer<'a>>,
    lengths: Buffer<'a>,
    queries: Buffer<'a>,
    out: Buffer<'a>,
    partials: (Buffer<'a>, Buffer<'a>),
}

impl<'s, 'a> Step<'s, 'a> {
    /// New random data in the pool, and up to `sets` sets of scattered pages of it.
    pub(super) fn new(bench: &'s Workbench<'a>, pool: &'s Pool<'a>, loaded: &Loaded, shape: Shape, sets: usize) -> Result<Self, Error> {
        let gpu = bench.gpu;
        let (rows, queries) = (Data::values(Format::Bf16), Data::values(Format::Bf16));
        bench.refill(&pool.0, rows)?;
        let mut pages: Vec<i32> = (0..pool.pages(&shape) as i32).collect();
        fastrand::shuffle(&mut pages);
        let mut pages = pages.into_iter();
        let tables: Vec<Vec<i32>> = (0..sets).map(|_| table(&shape.lengths, shape.row(), shape.page, &mut pages)).collect();
        let lengths: Vec<i32> = shape.lengths.iter().map(|length| *length as i32).collect();
        let query_count = shape.lengths.len() * shape.heads;
        let (partial, maxima) = loaded.partial_bytes(shape.heads);
        Ok(Self {
            bench,
            pool,
            content: Content { rows, queries, table: tables.first().cloned().unwrap_or_default() },
            tables: tables.iter().map(|table| gpu.upload(table)).collect::<Result<_, _>>()?,
            lengths: gpu.upload(&lengths)?,
            queries: bench.filled(query_count * VALUES * 2, queries)?,
            out: gpu.allocate(query_count * LATENT * 2)?,
            partials: (gpu.allocate(partial)?, gpu.allocate(maxima)?),
            shape,
        })
    }

    /// Sets of pages.
    pub(super) const fn sets(&self) -> usize {
        self.tables.len()
    }

    /// Makes every slot past the end of a sequence, in its last page of the first set, not a number.
    pub(super) fn poison(&self) -> Result<(), Error> {
        let shape = &self.shape;
        for (sequence, length) in shape.lengths.iter().enumerate() {
            let last = sequence * shape.row() + (length - 1) / shape.page;
            let page = usize::try_from(self.content.table.get(last).copied().unwrap_or(0)).unwrap_or(0);
            let used = (length - 1) % shape.page + 1;
            if used < shape.page {
                self.pool.0.set((page * shape.page + used) * VALUES * 2, (shape.page - used) * VALUES * 2, 0xff)?;
            }
        }
        Ok(())
    }

    /// One launch with set `turn`, and of the kernel that combines what its blocks share.
    pub(super) fn launch(&self, loaded: &Loaded, turn: usize, order: Order) -> Result<(), Error> {
        let of = |buffer: &Buffer<'_>| Argument::Wide(buffer.at(0));
        let (gpu, blocks) = (self.bench.gpu, loaded.blocks_for(self.shape.heads));
        let arguments = [
            of(&self.queries),
            of(&self.pool.0),
            Argument::Wide(self.tables.get(turn).map_or(0, |table| table.at(0))),
            of(&self.lengths),
            of(&self.out),
            of(&self.partials.0),
            of(&self.partials.1),
            self.shape.argument(),
        ];
        gpu.launch(&loaded.kernel, blocks, order, &arguments)?;
        let arguments = [
            of(&self.partials.0),
            of(&self.partials.1),
            of(&self.lengths),
            of(&self.out),
            Argument::Word(blocks),
            Argument::from(loaded.variant.heads),
            self.shape.argument(),
        ];
        gpu.launch(&loaded.merge, loaded.merge_blocks(gpu, &self.shape), order, &arguments)
    }

    /// The output of one launch with the first set; what the launch does not write is NaN, and so is what blocks left before.
    pub(super) fn run(&self, loaded: &Loaded, order: Order) -> Result<Vec<u16>, Error> {
        for buffer in [&self.out, &self.partials.0, &self.partials.1] {
            buffer.set(0, buffer.size(), 0xff)?;
        }
        self.launch(loaded, 0, order)?;
        self.out.read(self.shape.lengths.len() * self.shape.heads * LATENT)
    }
}
