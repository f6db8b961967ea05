//! Runs batches on the host twin of the CUDA kernels (`cuda/twin`): a plan is made for some device,
//! and its launches are carried out with buffers exactly as large as they have to be.

pub mod parity;

use std::ffi::{CStr, CString, c_char, c_int, c_longlong, c_uint, c_ulonglong, c_void};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};
use hungarian_loss::batch::{Inputs, Outputs, Shape, Solvable, solve};
use hungarian_loss::cuda::parameters::{DeviceBatch, Parameters};
use hungarian_loss::cuda::plan::{CostType, Device, Plan, Registers, WORKSPACE_ALIGNMENT};
use hungarian_loss::problem::given::{Mask, Options, Problem};
use hungarian_loss::prove::certificate::Answer;
use hungarian_loss::simd::cost::Real;

/// What counters of the kernels count, for the problem that took most: `Counter` in
/// `cuda/twin/device.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// Rounds of row reduction.
    pub rounds: c_longlong,
    /// Bids of the first warp in them, in f32.
    pub bids: c_longlong,
    /// The same in f64.
    pub bids_in_double: c_longlong,
    /// Steps of shortest path searches in f32.
    pub steps: c_longlong,
    /// The same in f64.
    pub steps_in_double: c_longlong,
    /// Rounds of raising duals.
    pub raises: c_longlong,
    /// Searches in f64.
    pub searches_in_double: c_longlong,
    /// Problems solved in twice the precision.
    pub in_double_double: c_longlong,
}

type LaunchFunction = unsafe extern "C" fn(
    *const c_char,
    c_uint,
    c_uint,
    c_uint,
    *const Parameters,
    c_ulonglong,
) -> c_int;
type CountsFunction = unsafe extern "C" fn(*mut Counts, c_int);

/// The twin's library, loaded. There is one machine in it, so this is not to be shared between
/// threads.
#[derive(Debug)]
pub struct Twin {
    launch: LaunchFunction,
    take_counts: CountsFunction,
}

impl Twin {
    /// Loads the library, for good.
    ///
    /// # Errors
    ///
    /// It cannot be loaded, or lacks the twin's functions.
    pub fn load(library: &Path) -> Result<Self> {
        let path = CString::new(library.as_os_str().as_encoded_bytes())?;
        // SAFETY: the path is a C string; the library's initialisers are those of the C++ runtime.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        if handle.is_null() {
            // SAFETY: dlopen has just failed, so there is a message.
            let message = unsafe { CStr::from_ptr(libc::dlerror()) };
            bail!("{}", message.to_string_lossy());
        }
        let symbol = |name: &CStr| -> Result<*mut c_void> {
            // SAFETY: the handle is valid and stays so; the name is a C string.
            let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
            ensure!(!address.is_null(), "{name:?} is not in {library:?}");
            Ok(address)
        };
        let (launch, take_counts) = (symbol(c"twin_launch")?, symbol(c"twin_take_counts")?);
        // SAFETY: the signatures are those of cuda/twin/twin.h.
        unsafe {
            Ok(Twin {
                launch: std::mem::transmute::<*mut c_void, LaunchFunction>(launch),
                take_counts: std::mem::transmute::<*mut c_void, CountsFunction>(take_counts),
            })
        }
    }

    /// What was counted since the last call.
    pub fn take_counts(&self) -> Counts {
        let mut counts = Counts::default();
        let fields = size_of::<Counts>() / size_of::<c_longlong>();
        // SAFETY: `counts` is as many numbers as that.
        unsafe { (self.take_counts)(&mut counts, fields as c_int) };
        counts
    }

    /// Solves a batch as planned for `device`; `seed` decides which thread runs when.
    ///
    /// # Errors
    ///
    /// There is no plan, or a kernel could not be run to its end.
    pub fn solve<T: Number>(
        &self,
        device: &Device,
        batch: &Batch<T>,
        seed: u64,
    ) -> Result<Solution<T::Real>> {
        let mut solution = Solution::<T::Real>::rubbish(batch.shape);
        let Shape {
            problems,
            rows,
            cols,
        } = batch.shape;
        let address = |pointer: *const c_void| pointer as u64;
        let device_batch = DeviceBatch {
            cost: address(batch.cost.as_ptr().cast()),
            row_mask: address(batch.row_mask.as_ptr().cast()),
            col_mask: address(batch.col_mask.as_ptr().cast()),
            cost_limit: address(batch.cost_limit.as_ptr().cast()),
            total_cost: address(solution.total_cost.as_mut_ptr().cast()),
            row_to_col: address(solution.row_to_col.as_mut_ptr().cast()),
            col_to_row: address(solution.col_to_row.as_mut_ptr().cast()),
            row_duals: address(solution.row_duals.as_mut_ptr().cast()),
            col_duals: address(solution.col_duals.as_mut_ptr().cast()),
            status: address(solution.status.as_mut_ptr().cast()),
            problems: problems as i64,
            rows: rows as i64,
            cols: cols as i64,
            row_mask_is_uniform: i32::from(batch.row_mask_is_uniform),
            col_mask_is_uniform: i32::from(batch.col_mask_is_uniform),
            cost_limit_is_uniform: i32::from(batch.cost_limit_is_uniform),
            maximize: i32::from(batch.maximize),
        };
        let plan = Plan::new(device, T::COST_TYPE, &device_batch)?;
        // Aligned as on a device, and not a byte longer.
        let layout = std::alloc::Layout::from_size_align(
            plan.workspace_bytes.max(1) as usize,
            WORKSPACE_ALIGNMENT as usize,
        )?;
        // SAFETY: the size is not 0; the memory is freed below, with the same layout.
        let workspace = unsafe { std::alloc::alloc(layout) };
        ensure!(!workspace.is_null(), "no memory for the workspace");
        // SAFETY: that many bytes have just been allocated.
        unsafe { workspace.write_bytes(0xa5, plan.workspace_bytes as usize) };
        let mut outcome = Ok(());
        for (index, launch) in plan.launches.iter().enumerate() {
            let kernel = CString::new(launch.kernel)?;
            let parameters = launch.parameters(device_batch, workspace as u64);
            // SAFETY: all addresses are those of buffers of the sizes that the parameters state,
            // and alive.
            let code = unsafe {
                (self.launch)(
                    kernel.as_ptr(),
                    launch.grid,
                    launch.threads,
                    launch.shared_bytes,
                    &parameters,
                    seed.wrapping_mul(2) + index as u64,
                )
            };
            if code != 0 {
                outcome = Err(anyhow::anyhow!("{launch:?} returned {code}"));
                break;
            }
        }
        // SAFETY: allocated above with this layout.
        unsafe { std::alloc::dealloc(workspace, layout) };
        outcome.map(|()| solution)
    }
}

/// A type of costs.
pub trait Number:
    Solvable<Real: Into<f64> + PartialEq + std::fmt::Debug> + std::fmt::Debug
{
    /// As the plan calls it.
    const COST_TYPE: CostType;
    /// Unit roundoff of the duals.
    const ROUNDOFF: f64;
    /// Distance from 1 to the next number.
    const ULP_OF_ONE: f64;
    /// The largest number.
    const LARGEST: f64;
    /// The smallest number above zero.
    const SMALLEST: f64;
    /// Rounds to this type.
    fn narrow(value: f64) -> Self;
}

const F32_ROUNDOFF: f64 = f32::EPSILON as f64 / 2.0;

macro_rules! number {
    ($type:ty, $cost:ident, $roundoff:expr, $ulp:expr, $largest:expr, $smallest:expr, $narrow:expr) => {
        impl Number for $type {
            const COST_TYPE: CostType = CostType::$cost;
            const ROUNDOFF: f64 = $roundoff;
            const ULP_OF_ONE: f64 = $ulp;
            const LARGEST: f64 = $largest;
            const SMALLEST: f64 = $smallest;
            fn narrow(value: f64) -> Self {
                $narrow(value)
            }
        }
    };
}
number!(
    f16,
    Half,
    F32_ROUNDOFF,
    1.0 / 1024.0,
    65504.0,
    1.0 / 16_777_216.0,
    f16::from_f64
);
number!(
    bf16,
    Bfloat16,
    F32_ROUNDOFF,
    1.0 / 128.0,
    3.38e38,
    1e-40,
    bf16::from_f64
);
number!(
    f32,
    Float,
    F32_ROUNDOFF,
    f32::EPSILON as f64,
    f32::MAX as f64,
    1.5e-45,
    |value| value as f32
);
number!(
    f64,
    Double,
    f64::EPSILON / 2.0,
    f64::EPSILON,
    f64::MAX,
    5e-324,
    |value| value
);

/// Many problems.
#[derive(Clone, Debug)]
pub struct Batch<T: Number> {
    /// Sizes.
    pub shape: Shape,
    /// Costs.
    pub cost: Vec<T>,
    /// Bytes, of which all but 0 are true: one for each row of each problem, or one for all.
    pub row_mask: Vec<u8>,
    /// Likewise.
    pub col_mask: Vec<u8>,
    /// One flag for all.
    pub row_mask_is_uniform: bool,
    /// Likewise.
    pub col_mask_is_uniform: bool,
    /// One for each problem, or one for all.
    pub cost_limit: Vec<T::Real>,
    /// One limit for all.
    pub cost_limit_is_uniform: bool,
    /// The largest total is sought: as if costs and limits were negated.
    pub maximize: bool,
}

impl<T: Number> Batch<T> {
    /// All rows and columns exist, and there is no limit.
    pub fn new(shape: Shape, cost: Vec<T>) -> Self {
        assert_eq!(cost.len(), shape.problems * shape.rows * shape.cols);
        Batch {
            shape,
            cost,
            row_mask: vec![255],
            col_mask: vec![2],
            row_mask_is_uniform: true,
            col_mask_is_uniform: true,
            cost_limit: vec![T::Real::round_from(f64::INFINITY)],
            cost_limit_is_uniform: true,
            maximize: false,
        }
    }

    /// Some of the problems, as a batch of their own.
    pub fn part(&self, problems: Range<usize>) -> Self {
        let Shape { rows, cols, .. } = self.shape;
        fn of<V: Clone>(all: &[V], is_uniform: bool, length: usize, part: &Range<usize>) -> Vec<V> {
            match is_uniform {
                true => all.to_vec(),
                false => all[part.start * length..part.end * length].to_vec(),
            }
        }
        Batch {
            shape: Shape {
                problems: problems.len(),
                ..self.shape
            },
            cost: of(&self.cost, false, rows * cols, &problems),
            row_mask: of(&self.row_mask, self.row_mask_is_uniform, rows, &problems),
            col_mask: of(&self.col_mask, self.col_mask_is_uniform, cols, &problems),
            cost_limit: of(&self.cost_limit, self.cost_limit_is_uniform, 1, &problems),
            ..*self
        }
    }

    /// What the CPU answers.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn solve_on_cpu(&self) -> Result<Solution<T::Real>> {
        let mut solution = Solution::rubbish(self.shape);
        let (row_mask, col_mask) = (flags(&self.row_mask), flags(&self.col_mask));
        solve(
            self.shape,
            &Inputs {
                cost: &self.cost,
                row_mask: &row_mask,
                col_mask: &col_mask,
                cost_limit: &self.cost_limit,
                maximize: self.maximize,
            },
            &mut Outputs {
                total_cost: &mut solution.total_cost,
                row_to_col: &mut solution.row_to_col,
                col_to_row: &mut solution.col_to_row,
                row_duals: &mut solution.row_duals,
                col_duals: &mut solution.col_duals,
                status: &mut solution.status,
            },
        )
        .context("the CPU's solver")?;
        Ok(solution)
    }

    /// Calls `look` with the problem at `index`.
    pub fn with_problem<V>(&self, index: usize, look: impl FnOnce(&Problem<T>) -> V) -> V {
        let Shape { rows, cols, .. } = self.shape;
        fn part(mask: &[u8], is_uniform: bool, length: usize, index: usize) -> Vec<bool> {
            match is_uniform {
                true => vec![mask[0] != 0; length],
                false => flags(&mask[index * length..][..length]),
            }
        }
        let row_mask = part(&self.row_mask, self.row_mask_is_uniform, rows, index);
        let col_mask = part(&self.col_mask, self.col_mask_is_uniform, cols, index);
        look(&Problem {
            cost: &self.cost[index * rows * cols..][..rows * cols],
            rows,
            cols,
            row_mask: Mask::Each(&row_mask),
            col_mask: Mask::Each(&col_mask),
            options: Options {
                cost_limit: self.cost_limit[if self.cost_limit_is_uniform { 0 } else { index }]
                    .into(),
                maximize: self.maximize,
            },
        })
    }
}

fn flags(bytes: &[u8]) -> Vec<bool> {
    bytes.iter().map(|&byte| byte != 0).collect()
}

/// The op's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution<U> {
    /// One for each problem.
    pub total_cost: Vec<U>,
    /// One for each row.
    pub row_to_col: Vec<i32>,
    /// One for each column.
    pub col_to_row: Vec<i32>,
    /// One for each row.
    pub row_duals: Vec<U>,
    /// One for each column.
    pub col_duals: Vec<U>,
    /// One for each problem.
    pub status: Vec<i32>,
}

impl<U: Real + Into<f64>> Solution<U> {
    /// Nothing that a solver would write, so that what it leaves out shows.
    pub fn rubbish(shape: Shape) -> Self {
        let Shape {
            problems,
            rows,
            cols,
        } = shape;
        let number = U::round_from(-77.0);
        Solution {
            total_cost: vec![number; problems],
            row_to_col: vec![-77; problems * rows],
            col_to_row: vec![-77; problems * cols],
            row_duals: vec![number; problems * rows],
            col_duals: vec![number; problems * cols],
            status: vec![-77; problems],
        }
    }

    /// The answers to some of the problems.
    pub fn part(&self, shape: Shape, problems: Range<usize>) -> Self {
        let Shape { rows, cols, .. } = shape;
        let (of_rows, of_cols) = (
            problems.start * rows..problems.end * rows,
            problems.start * cols..problems.end * cols,
        );
        Solution {
            total_cost: self.total_cost[problems.clone()].to_vec(),
            row_to_col: self.row_to_col[of_rows.clone()].to_vec(),
            col_to_row: self.col_to_row[of_cols.clone()].to_vec(),
            row_duals: self.row_duals[of_rows].to_vec(),
            col_duals: self.col_duals[of_cols].to_vec(),
            status: self.status[problems].to_vec(),
        }
    }

    /// The answer to the problem at `index`.
    pub fn answer(&self, shape: Shape, index: usize) -> Answer {
        let Shape { rows, cols, .. } = shape;
        let (of_rows, of_cols) = (
            index * rows..(index + 1) * rows,
            index * cols..(index + 1) * cols,
        );
        let widen = |numbers: &[U]| numbers.iter().map(|&number| number.into()).collect();
        Answer {
            total_cost: self.total_cost[index].into(),
            row_to_col: self.row_to_col[of_rows.clone()].to_vec(),
            col_to_row: self.col_to_row[of_cols.clone()].to_vec(),
            row_duals: widen(&self.row_duals[of_rows]),
            col_duals: widen(&self.col_duals[of_cols]),
        }
    }

    /// All that it consists of, bit by bit (so that NaN is equal to itself).
    pub fn bits(&self) -> Vec<u64> {
        let numbers = [&self.total_cost, &self.row_duals, &self.col_duals];
        let indices = [&self.row_to_col, &self.col_to_row, &self.status];
        let numbers = numbers
            .into_iter()
            .flatten()
            .map(|&number| number.into().to_bits());
        let indices = indices.into_iter().flatten().map(|&index| index as u64);
        numbers.chain(indices).collect()
    }
}

/// One of the devices that plans are made for.
pub fn device(name: &str) -> Device {
    let (capability, processors, optin, shared, threads) = match name {
        "V100" => (70, 80, 96, 96, 2048),
        // Its grid is so small that blocks go from problem to problem.
        "T4" => (75, 40, 64, 64, 1024),
        "A100" => (80, 108, 163, 164, 2048),
        "H100" => (90, 132, 227, 228, 2048),
        _ => panic!("no device is called {name}"),
    };
    Device {
        compute_capability: capability,
        multiprocessors: processors,
        shared_bytes_per_block_optin: optin << 10,
        shared_bytes_per_multiprocessor: shared << 10,
        threads_per_multiprocessor: threads,
        blocks_per_multiprocessor: if name == "T4" { 16 } else { 32 },
        registers_per_multiprocessor: 65536,
        reserved_shared_bytes_per_block: if capability < 80 { 0 } else { 1024 },
        // About what cuda/resources.md has.
        registers: Registers {
            search_by_warp: 120,
            search_by_block: 128,
            prove: 128,
        },
        grid_limit: if name == "T4" { 1 } else { i32::MAX as u32 },
    }
}
