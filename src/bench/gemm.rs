//! The matrix product of a decode step with quantised weights: W4A16 with a scale for each group of 128, W8A16 with fp8 weights and
//! a scale for each output.

mod kernels;
mod layout;
mod reference;
mod variants;

use super::data::{Data, Format};
use super::deviation::Deviation;
use super::driver::{Argument, Buffer, Error, Order};
use super::modules::Kernels;
use super::workbench::{Workbench, sample};
use crate::measurement::Report;
use kernels::Loaded;
use layout::Matrix;
pub(super) use layout::Stored;
use reference::Product;

/// Total size of the weights that launches take turns over, in bytes.
const ROTATION: usize = 1500 << 20;
/// Most sets of weights.
const MOST_SETS: usize = 40;

/// Matrices and the rows that each is multiplied with: a fused gate and up projection of a 70B model, its output projection,
/// and the down projection of an 8B model.
const SHAPES: [(usize, usize, &[usize]); 3] = [(57344, 8192, &[1, 2, 4, 8, 16, 32, 64]), (8192, 8192, &[1, 8, 16]), (4096, 14336, &[1])];
const QUICK: [(usize, usize, &[usize]); 2] = [(57344, 8192, &[1, 16]), (8192, 8192, &[1])];

/// Small products of which every output is checked, on so many blocks: one group of k, a part of a chunk of X, tiles shared by
/// several blocks, blocks with several tiles.
const CHECKS: [(usize, usize, u32); 4] = [(256, 128, 4), (256, 1152, 3), (768, 640, 2), (512, 768, 5)];

/// Measures all of it.
pub(super) fn measure(bench: &Workbench<'_>, kernels: &Kernels<'_>, stored: Stored) -> Result<(), Error> {
    for format in kernels::formats(kernels) {
        let second = *format == Format::F16 && !kernels.is_turing();
        if second && bench.quick {
            continue;
        }
        let name = format!("{}-{}", stored.name(), format.name());
        let mut small = Deviation::default();
        bench.attempt(&name, || {
            for loaded in kernels::all(bench.gpu, kernels, stored, *format)? {
                small = small.clone().worse(check(bench, &loaded, stored, *format)?);
            }
            Ok(())
        })?;
        let shapes: &[(usize, usize, &[usize])] = match (bench.quick, second) {
            (_, true) => &[(57344, 8192, &[1, 16])],
            (true, false) => &QUICK,
            (false, false) => &SHAPES,
        };
        for (n, k, rows) in shapes.iter().copied() {
            let matrix = Matrix { stored, n, k };
            bench.attempt(&format!("{name} {n}×{k}"), || shape(bench, kernels, *format, matrix, rows, &small))?;
        }
    }
    Ok(())
}

/// Multiplies small matrices and checks every output.
fn check(bench: &Workbench<'_>, loaded: &Loaded, stored: Stored, format: Format) -> Result<Deviation, Error> {
    let mut deviation = Deviation::default();
    for ((n, k, blocks), data) in CHECKS.into_iter().zip(stored.data().into_iter().cycle()) {
        let matrix = Matrix { stored, n: n.next_multiple_of(loaded.tile()), k };
        let loaded = loaded.on(blocks);
        // Rows that fill no tile, and all of them.
        for rows in [loaded.rows() - 3, loaded.rows()] {
            let set = Set::new(bench, matrix, data, format)?;
            let work = Work::new(bench, &loaded, matrix, rows, format)?;
            let first = work.run(&loaded, &set, Order::After)?;
            let product = Product { matrix, rows, format, weights: set.data, scales: set.scale_data, x: work.x_data };
            deviation = deviation.worse(product.check(&first, &product.all_outputs()));
            // The counters of shared tiles must be as they were: the same product again, with other blocks first or last.
            if work.run(&loaded, &set, Order::After)? != first {
                deviation = deviation.worse(Deviation::fault("a second launch gave another result"));
            }
        }
    }
    Ok(deviation)
}

/// Times one matrix with each number of rows, and checks a sample of its outputs.
fn shape(
    bench: &Workbench<'_>,
    kernels: &Kernels<'_>,
    format: Format,
    wanted: Matrix,
    rows: &[usize],
    small: &Deviation,
) -> Result<(), Error> {
    let (matrix, sets) = fitting(bench, wanted)?;
    let note = (matrix != wanted).then(|| format!("{} outputs instead of {}, because too little memory is free", matrix.n, wanted.n));
    let usual = || matrix.stored.data().into_iter().next().unwrap_or_else(Data::words);
    let sets = (0..sets).map(|_| Set::new(bench, matrix, usual(), format)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = sets.first() else { return Ok(()) };
    for rows in rows.iter().copied() {
        let loaded = kernels::choose(bench.gpu, kernels, format, rows, matrix)?;
        let work = Work::new(bench, &loaded, matrix, rows, format)?;
        let result = work.run(&loaded, first, Order::After)?;
        let product = Product { matrix, rows, format, weights: first.data, scales: first.scale_data, x: work.x_data };
        let bytes = matrix.weight_bytes() + matrix.scale_bytes() + 2 * rows * (matrix.n + matrix.k);
        // The reference is computed while the device is timed.
        let (checked, timed) = std::thread::scope(|scope| {
            let reference = scope.spawn(|| product.check(&result, &product.some_outputs()));
            let orders: &[Order] =
                if kernels.overlap() && format == Format::Bf16 { &[Order::After, Order::Overlapped] } else { &[Order::After] };
            let timed: Vec<_> = orders.iter().map(|order| work.time(bench, &loaded, &sets, *order, &result)).collect();
            (Deviation::of_thread(reference), timed)
        });
        for timed in timed {
            let (order, timing, same) = timed?;
            let deviation = small.clone().worse(checked.clone()).worse(same);
            let mut sample = sample(
                &format!("{}-{}", matrix.stored.name(), format.name()),
                format!("{}×{} M={rows}", matrix.n, matrix.k),
                order.into(),
                bytes,
                timing,
            );
            sample.flops = Some(matrix.flops(rows));
            deviation.into_sample(&mut sample, reference::limit(format));
            sample.note.clone_from(&note);
            sample.reduced = note.is_some();
            bench.say(Report::Sample(Box::new(sample)));
        }
    }
    Ok(())
}

/// The matrix, or as much of it as fits, and the number of sets.
fn fitting(bench: &Workbench<'_>, wanted: Matrix) -> Result<(Matrix, usize), Error> {
    let room = bench.gpu.free_memory()? / 2;
    let mut matrix = wanted;
    loop {
        let each = matrix.weight_bytes() + matrix.scale_bytes();
        let fit = room / each;
        let sets = (ROTATION / each).clamp(2, MOST_SETS).max(bench.beyond_cache().div_ceil(each)).min(fit);
        if sets >= 2 && sets * each >= bench.beyond_cache() {
            return Ok((matrix, sets));
        }
        matrix.n = matrix.n / 2 / layout::BLOCK_N * layout::BLOCK_N;
        if matrix.n == 0 {
            return Err(Error::Refused(format!("{} MiB of free memory are too little for a matrix that no cache holds", (2 * room) >> 20)));
        }
    }
}

/// Weights and scales on the device.
struct Set<'a> {
    weights: Buffer<'a>,
    scales: Buffer<'a>,
    data: Data,
    scale_data: Data,
}

impl<'a> Set<'a> {
    fn new(bench: &Workbench<'a>, matrix: Matrix, data: Data, format: Format) -> Result<Self, Error> {
        let scale_data = Data::scales(format);
        let weights = bench.filled(matrix.weight_bytes(), data)?;
        Ok(Self { weights, scales: bench.filled(matrix.scale_bytes(), scale_data)?, data, scale_data })
    }
}

/// The rest of what a product needs.
struct Work<'a> {
    gpu: &'a super::driver::Gpu,
    matrix: Matrix,
    rows: usize,
    x: Buffer<'a>,
    x_data: Data,
    y: Buffer<'a>,
    partials: Buffer<'a>,
    counters: Buffer<'a>,
}

impl<'a> Work<'a> {
    fn new(bench: &Workbench<'a>, loaded: &Loaded, matrix: Matrix, rows: usize, format: Format) -> Result<Self, Error> {
        let (gpu, x_data) = (bench.gpu, Data::values(format));
        Ok(Self {
            gpu,
            matrix,
            rows,
            x: bench.filled(rows * matrix.k * 2, x_data)?,
            x_data,
            y: gpu.allocate(rows * matrix.n * 2)?,
            partials: gpu.allocate(loaded.partial_bytes())?,
            counters: gpu.zeroed(loaded.counter_bytes(matrix.n))?,
        })
    }

    fn launch(&self, loaded: &Loaded, set: &Set<'_>, order: Order) -> Result<(), Error> {
        let buffers = [&set.weights, &set.scales, &self.x, &self.y, &self.partials, &self.counters];
        let mut arguments: Vec<Argument> = buffers.into_iter().map(|buffer| Argument::Wide(buffer.at(0))).collect();
        arguments.extend([self.rows, self.matrix.n, self.matrix.k].map(Argument::from));
        self.gpu.launch(&loaded.kernel, loaded.blocks(self.matrix), order, &arguments)
    }

    /// The result of one launch; what the launch does not write is NaN.
    fn run(&self, loaded: &Loaded, set: &Set<'_>, order: Order) -> Result<Vec<u16>, Error> {
        self.y.set(0, self.y.size(), 0xff)?;
        self.launch(loaded, set, order)?;
        self.y.read(self.rows * self.matrix.n)
    }

    /// Times launches that take turns over `sets`, and sees whether the first set still gives `result` after them.
    fn time(&self, bench: &Workbench<'_>, loaded: &Loaded, sets: &[Set<'_>], order: Order, result: &[u16]) -> Result<Timed, Error> {
        let timing = bench.time(sets.len(), |turn| sets.get(turn).map_or(Ok(()), |set| self.launch(loaded, set, order)))?;
        let again = sets.first().map_or_else(|| Ok(Vec::new()), |set| self.run(loaded, set, order))?;
        let same =
            if again == result { Deviation::default() } else { Deviation::fault("the result after the timed launches is another one") };
        Ok((order, timing, same))
    }
}

type Timed = (Order, super::workbench::Timing, Deviation);
