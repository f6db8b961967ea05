//! Which kernels solve a batch, and how they are launched.

use crate::cuda::parameters::{
    COLUMNS_OF_BLOCK_THREAD, COLUMNS_OF_WARP_THREAD, DOUBLE_NODE_BYTES, DeviceAddress, DeviceBatch,
    EXCHANGE_BYTES, MOST_SEARCH_THREADS, Parameters, SINGLE_NODE_BYTES, WARP, WIDE_NODE_BYTES,
};

/// The type of costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostType {
    /// IEEE binary16.
    Half,
    /// bfloat16.
    Bfloat16,
    /// f32.
    Float,
    /// f64.
    Double,
}

/// What the plan must know of a device (`cuDeviceGetAttribute`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// 10·major + minor: 70 for Volta.
    pub compute_capability: u32,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Shared memory that one block may have without asking.
    pub shared_bytes_per_block: u32,
    /// Shared memory that one block may have if the function's attribute is raised.
    pub shared_bytes_per_block_optin: u32,
    /// Shared memory of a multiprocessor.
    pub shared_bytes_per_multiprocessor: u32,
    /// Threads that a multiprocessor can hold.
    pub threads_per_multiprocessor: u32,
    /// Blocks in the first dimension of a grid, at most.
    pub grid_limit: u32,
}

/// One kernel launch, on the batch's stream. Launches of a plan follow each other on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The kernel's symbol.
    pub kernel: &'static str,
    /// Blocks.
    pub grid: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of dynamic shared memory of a block. Beyond 48 KiB the function's attribute must be raised to it.
    pub shared_bytes: u32,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A size is negative.
    #[error("a size is negative: got {0}, expected 0 or more")]
    NegativeSize(i64),
    /// Too many rows or columns.
    #[error(
        "got problems of {rows} x {cols}, expected at most {LONGEST} rows and columns on a GPU"
    )]
    TooLarge {
        /// Rows of the problems.
        rows: i64,
        /// Columns of the problems.
        cols: i64,
    },
    /// The batch has more entries than an address can count.
    #[error("got {problems} problems of {rows} x {cols}, expected at most 2^60 entries in all")]
    TooMany {
        /// Number of problems.
        problems: i64,
        /// Rows of each.
        rows: i64,
        /// Columns of each.
        cols: i64,
    },
    /// The kernels are not made for such devices.
    #[error(
        "got a GPU of compute capability {}.{}, expected 7.0 (Volta) or later",
        .0 / 10, .0 % 10
    )]
    TooOld(u32),
}

/// Rows and columns, at most: the threads of the largest block hold as many.
pub const LONGEST: i64 = (MOST_SEARCH_THREADS * COLUMNS_OF_BLOCK_THREAD) as i64;

/// The oldest devices that the kernels are made for.
pub const OLDEST_CAPABILITY: u32 = 70;

/// Columns up to which a warp solves a problem by itself.
const WIDEST_FOR_WARP: u64 = WARP * COLUMNS_OF_WARP_THREAD;

/// Workspace that the plan does not exceed unless one block needs more: it makes the grid smaller.
const MOST_WORKSPACE: u64 = 512 << 20;

/// How a batch is solved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Bytes of workspace that the launches share; may be 0.
    pub workspace_bytes: u64,
    /// What to launch, in this order.
    pub launches: Vec<Launch>,
    workspace_per_block: i64,
}

impl Plan {
    /// Plans for `batch`, whose addresses need not be known yet.
    ///
    /// # Errors
    ///
    /// The problem is too large for the kernels, or the device too old.
    pub fn new(device: &Device, costs: CostType, batch: &DeviceBatch) -> Result<Self, PlanError> {
        let DeviceBatch {
            problems,
            rows,
            cols,
            ..
        } = *batch;
        if device.compute_capability < OLDEST_CAPABILITY {
            return Err(PlanError::TooOld(device.compute_capability));
        }
        if let Some(&size) = [problems, rows, cols].iter().find(|&&size| size < 0) {
            return Err(PlanError::NegativeSize(size));
        }
        if rows.max(cols) > LONGEST {
            return Err(PlanError::TooLarge { rows, cols });
        }
        if problems.checked_mul(LONGEST * LONGEST).is_none()
            && problems > (1 << 60) / (rows * cols).max(1)
        {
            return Err(PlanError::TooMany {
                problems,
                rows,
                cols,
            });
        }
        if problems == 0 {
            return Ok(Plan {
                workspace_bytes: 0,
                launches: Vec::new(),
                workspace_per_block: 0,
            });
        }
        let kernels = [
            Kernel::search(device, costs, batch),
            Kernel::prove(device, costs, batch),
        ];
        let per_block = kernels.iter().map(|kernel| kernel.workspace).max();
        let per_block = per_block.unwrap_or(0).next_multiple_of(256);
        let affordable = MOST_WORKSPACE.checked_div(per_block).unwrap_or(u64::MAX);
        let launches = kernels.map(|kernel| {
            let resident =
                u64::from(device.multiprocessors) * kernel.blocks_per_multiprocessor(device);
            let grid = resident
                .min(problems as u64)
                .min(affordable)
                .min(u64::from(device.grid_limit));
            Launch {
                kernel: kernel.symbol,
                grid: grid.max(1) as u32,
                threads: kernel.threads as u32,
                shared_bytes: kernel.shared as u32,
            }
        });
        let largest_grid = launches.iter().map(|launch| u64::from(launch.grid)).max();
        Ok(Plan {
            workspace_bytes: per_block * largest_grid.unwrap_or(0),
            launches: launches.to_vec(),
            workspace_per_block: per_block as i64,
        })
    }

    /// What each of the launches is given.
    pub fn parameters(&self, batch: DeviceBatch, workspace: DeviceAddress) -> Parameters {
        Parameters {
            batch,
            workspace,
            workspace_per_block: self.workspace_per_block,
        }
    }
}

/// A kernel and what a block of it takes.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    symbol: &'static str,
    threads: u64,
    shared: u64,
    workspace: u64,
    /// Registers that a thread may have at most, by the kernel's launch bounds.
    registers: u64,
}

/// Makes the same sums as `Arena` in `cuda/problem.h`: shared memory while there is room, then workspace.
struct Arena {
    shared_left: u64,
    workspace: u64,
}

impl Arena {
    fn new(shared: u64) -> Self {
        Arena {
            shared_left: shared,
            workspace: 0,
        }
    }

    fn take(&mut self, bytes: u64) {
        let bytes = aligned(bytes);
        if bytes <= self.shared_left {
            self.shared_left -= bytes;
        } else {
            self.workspace += bytes;
        }
    }

    fn take_all(mut self, sizes: &[u64]) -> u64 {
        sizes.iter().for_each(|&bytes| self.take(bytes));
        self.workspace
    }
}

fn aligned(bytes: u64) -> u64 {
    bytes.next_multiple_of(16)
}

/// The longer side of the problems.
fn size(batch: &DeviceBatch) -> u64 {
    batch.rows.max(batch.cols) as u64
}

/// Entries of a copy of one problem's costs: `PackedCount`.
fn packed(batch: &DeviceBatch) -> u64 {
    let (rows, cols) = (batch.rows as u64, batch.cols as u64);
    (rows * (cols | 1)).max(cols * (rows | 1))
}

/// May costs have to be copied? `MayNeedCopy`. `in_place`: the kernel reads costs of that type.
fn may_need_copy(batch: &DeviceBatch, in_place: bool) -> bool {
    !in_place
        || batch.rows > batch.cols
        || batch.row_mask_is_uniform == 0
        || batch.col_mask_is_uniform == 0
}

fn sum(sizes: &[u64]) -> u64 {
    sizes.iter().copied().map(aligned).sum()
}

impl Kernel {
    /// The kernel that searches in f32.
    fn search(device: &Device, costs: CostType, batch: &DeviceBatch) -> Self {
        let size = size(batch);
        let is_block = size > WIDEST_FOR_WARP;
        let symbol = match (is_block, costs) {
            (false, CostType::Half) => "search_by_warp_half",
            (false, CostType::Bfloat16) => "search_by_warp_bfloat16",
            (false, CostType::Float) => "search_by_warp_float",
            (false, CostType::Double) => "search_by_warp_double",
            (true, CostType::Half) => "search_by_block_half",
            (true, CostType::Bfloat16) => "search_by_block_bfloat16",
            (true, CostType::Float) => "search_by_block_float",
            (true, CostType::Double) => "search_by_block_double",
        };
        // Few warps wait less for each other.
        let columns_per_thread = if size <= 2 * MOST_SEARCH_THREADS {
            2
        } else {
            COLUMNS_OF_BLOCK_THREAD
        };
        let threads = match is_block {
            false => WARP,
            true => size.div_ceil(columns_per_thread).next_multiple_of(WARP),
        };
        let team = if is_block { EXCHANGE_BYTES } else { 0 };
        let sizes = [team, SINGLE_NODE_BYTES * size];
        let copy = 4 * packed(batch);
        let most = u64::from(device.shared_bytes_per_block_optin);
        let kernel = |shared: u64| {
            let mut arena = Arena::new(shared);
            sizes.iter().for_each(|&bytes| arena.take(bytes));
            if arena.shared_left >= aligned(copy) || may_need_copy(batch, costs == CostType::Float)
            {
                arena.take(copy);
            }
            Kernel {
                symbol,
                threads,
                shared,
                workspace: arena.workspace,
                registers: 112,
            }
        };
        let without = kernel(sum(&sizes).min(most));
        let shared = sum(&sizes) + aligned(copy);
        if shared > most {
            return without;
        }
        // Costs in shared memory make steps about twice as fast, but leave room for fewer blocks.
        let with = kernel(shared);
        let needed = (batch.problems as u64).div_ceil(u64::from(device.multiprocessors.max(1)));
        let (few, many) = (
            with.blocks_per_multiprocessor(device),
            without.blocks_per_multiprocessor(device),
        );
        if 2 * few >= many.min(needed) {
            with
        } else {
            without
        }
    }

    /// The kernel that proves in f64.
    fn prove(device: &Device, costs: CostType, batch: &DeviceBatch) -> Self {
        let size = size(batch);
        let (symbol, exact) = match costs {
            CostType::Half => ("prove_half", 4),
            CostType::Bfloat16 => ("prove_bfloat16", 4),
            CostType::Float => ("prove_float", 4),
            CostType::Double => ("prove_double", 8),
        };
        // Its passes over all costs gain by more threads than a search's steps do.
        let threads = match size {
            0..=32 => 32,
            33..=64 => 64,
            65..=512 => 128,
            _ => 256,
        };
        let sizes = [
            EXCHANGE_BYTES,
            DOUBLE_NODE_BYTES * size,
            8 * size,
            8 * size,
            4 * size,
            4 * size,
        ];
        let shared = sum(&sizes).min(u64::from(device.shared_bytes_per_block_optin));
        let in_place = matches!(costs, CostType::Float | CostType::Double);
        let copy = if may_need_copy(batch, in_place) {
            exact * packed(batch)
        } else {
            0
        };
        let wide = [WIDE_NODE_BYTES * size, 16 * size, 16 * size];
        let all = [sizes.as_slice(), &[copy], &wide].concat();
        Kernel {
            symbol,
            threads,
            shared,
            workspace: Arena::new(shared).take_all(&all),
            registers: 160,
        }
    }

    fn blocks_per_multiprocessor(&self, device: &Device) -> u64 {
        let most = match device.compute_capability {
            75 | 86 | 87 => 16,
            89 | 120 => 24,
            _ => 32,
        };
        const REGISTERS: u64 = 65536;
        // What the system takes of each block's share from 8.0 on.
        const RESERVED: u64 = 1024;
        let by_shared =
            u64::from(device.shared_bytes_per_multiprocessor) / (self.shared + RESERVED);
        let by_threads = u64::from(device.threads_per_multiprocessor) / self.threads;
        let by_registers = REGISTERS / (self.registers * self.threads);
        by_shared.min(by_threads).min(by_registers).clamp(1, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::parameters::{COLUMNS_OF_PROOF_THREAD, MOST_PROOF_THREADS};

    fn device(compute_capability: u32, kib: u32) -> Device {
        Device {
            compute_capability,
            multiprocessors: 100,
            shared_bytes_per_block: 48 << 10,
            shared_bytes_per_block_optin: (kib - 1) << 10,
            shared_bytes_per_multiprocessor: kib << 10,
            threads_per_multiprocessor: 2048,
            grid_limit: i32::MAX as u32,
        }
    }

    fn batch(problems: i64, rows: i64, cols: i64) -> DeviceBatch {
        DeviceBatch {
            problems,
            rows,
            cols,
            row_mask_is_uniform: 1,
            col_mask_is_uniform: 1,
            ..DeviceBatch::default()
        }
    }

    #[test]
    fn what_cannot_be_planned_says_why() {
        let refusal = |device, batch| {
            Plan::new(&device, CostType::Float, &batch)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refusal(device(61, 96), batch(1, 2, 2)),
            "got a GPU of compute capability 6.1, expected 7.0 (Volta) or later"
        );
        assert_eq!(
            refusal(device(80, 164), batch(1, 2, 4097)),
            "got problems of 2 x 4097, expected at most 4096 rows and columns on a GPU"
        );
        assert_eq!(
            refusal(device(80, 164), batch(1, -2, 2)),
            "a size is negative: got -2, expected 0 or more"
        );
        assert_eq!(
            refusal(device(80, 164), batch(i64::MAX, 4096, 4096)),
            "got 9223372036854775807 problems of 4096 x 4096, expected at most 2^60 entries in all"
        );
    }

    #[test]
    fn every_plan_stays_within_the_device() {
        let sides = [0, 1, 16, 100, 128, 129, 300, 1024, 1025, 4096];
        let types = [
            CostType::Half,
            CostType::Bfloat16,
            CostType::Float,
            CostType::Double,
        ];
        for device in [
            device(70, 97),
            device(75, 65),
            device(80, 164),
            device(90, 228),
        ] {
            for (rows, cols) in sides
                .iter()
                .flat_map(|&rows| sides.map(|cols| (rows, cols)))
            {
                for (costs, problems) in types.into_iter().zip([1, 7, 1000, 1 << 33]) {
                    let batch = batch(problems, rows, cols);
                    let plan = Plan::new(&device, costs, &batch).expect("a plan");
                    let per_block = plan.parameters(batch, 0).workspace_per_block as u64;
                    assert_eq!(plan.launches.len(), 2);
                    for launch in &plan.launches {
                        let Launch {
                            grid,
                            threads,
                            shared_bytes,
                            ..
                        } = *launch;
                        assert!(grid >= 1 && i64::from(grid) <= problems, "{launch:?}");
                        let (threads, size) = (u64::from(threads), rows.max(cols) as u64);
                        let (most, columns) = match launch.kernel {
                            name if name.starts_with("search_by_warp") => {
                                (WARP, COLUMNS_OF_WARP_THREAD)
                            }
                            name if name.starts_with("search_by_block") => {
                                (MOST_SEARCH_THREADS, COLUMNS_OF_BLOCK_THREAD)
                            }
                            _ => (MOST_PROOF_THREADS, COLUMNS_OF_PROOF_THREAD),
                        };
                        assert!(threads % WARP == 0 && (WARP..=most).contains(&threads));
                        assert!(size <= threads * columns, "{launch:?}");
                        assert!(shared_bytes <= device.shared_bytes_per_block_optin);
                        assert!(u64::from(grid) * per_block <= plan.workspace_bytes);
                    }
                    assert!(plan.workspace_bytes <= MOST_WORKSPACE.max(per_block));
                }
            }
        }
    }

    #[test]
    fn kernels_go_by_the_longer_side() {
        let device = device(90, 228);
        let kernels = |problems, rows, cols| {
            let batch = batch(problems, rows, cols);
            let plan = Plan::new(&device, CostType::Float, &batch).expect("a plan");
            plan.launches
                .iter()
                .map(|launch| (launch.kernel, launch.threads))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            kernels(9, 128, 3),
            [("search_by_warp_float", 32), ("prove_float", 128)]
        );
        assert_eq!(
            kernels(9, 3, 300),
            [("search_by_block_float", 160), ("prove_float", 128)]
        );
        assert_eq!(
            kernels(9, 4096, 4096),
            [("search_by_block_float", 512), ("prove_float", 256)]
        );
        assert_eq!(kernels(0, 3, 3), []);
    }

    /// Few problems have their costs in shared memory. Where that would leave room for few blocks only, many have not.
    #[test]
    fn costs_are_near_if_that_pays() {
        let device = device(80, 164);
        let shared = |problems| {
            let plan = Plan::new(&device, CostType::Float, &batch(problems, 100, 100));
            plan.expect("a plan").launches[0].shared_bytes
        };
        assert!(shared(50) > 40_000);
        assert!(shared(100_000) < 4_000);
    }
}
