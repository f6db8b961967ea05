//! Which kernels solve a batch, and how they are launched.

use crate::cuda::parameters::{
    COLUMNS_BEHIND, COLUMNS_OF_BLOCK_THREAD, COLUMNS_OF_WARP_THREAD, DOUBLE_MATCH_BYTES,
    DeviceAddress, DeviceBatch, EXCHANGE_BYTES, LINES_BEHIND, MOST_SEARCH_THREADS, Memory,
    NEAR_PAIR_BYTES, NEAR_PAIRS_PER_INDEX, NODE_BYTES, OPEN_ROW_COUNTS, Parameters, Place,
    SINGLE_MATCH_BYTES, StatePlaces, WARP, WIDE_MATCH_BYTES,
};

/// The type of costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl CostType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Half, Self::Bfloat16, Self::Float, Self::Double];
}

/// What a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A search in f32 by one warp.
    SearchByWarp,
    /// The same by a block.
    SearchByBlock,
    /// The proof in f64.
    Prove,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SearchByWarp, Self::SearchByBlock, Self::Prove];

    /// The symbol of the kernel for it.
    pub fn kernel(self, costs: CostType) -> &'static str {
        match (self, costs) {
            (Self::SearchByWarp, CostType::Half) => "search_by_warp_half",
            (Self::SearchByWarp, CostType::Bfloat16) => "search_by_warp_bfloat16",
            (Self::SearchByWarp, CostType::Float) => "search_by_warp_float",
            (Self::SearchByWarp, CostType::Double) => "search_by_warp_double",
            (Self::SearchByBlock, CostType::Half) => "search_by_block_half",
            (Self::SearchByBlock, CostType::Bfloat16) => "search_by_block_bfloat16",
            (Self::SearchByBlock, CostType::Float) => "search_by_block_float",
            (Self::SearchByBlock, CostType::Double) => "search_by_block_double",
            (Self::Prove, CostType::Half) => "prove_half",
            (Self::Prove, CostType::Bfloat16) => "prove_bfloat16",
            (Self::Prove, CostType::Float) => "prove_float",
            (Self::Prove, CostType::Double) => "prove_double",
        }
    }
}

/// Registers of a thread, as the driver has compiled the kernel for each task
/// (`cuFuncGetAttribute`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Of searches by a warp.
    pub search_by_warp: u32,
    /// Of searches by a block.
    pub search_by_block: u32,
    /// Of proofs.
    pub prove: u32,
}

impl Registers {
    fn of(self, task: Task) -> u32 {
        match task {
            Task::SearchByWarp => self.search_by_warp,
            Task::SearchByBlock => self.search_by_block,
            Task::Prove => self.prove,
        }
    }
}

/// What the plan must know of a device (`cuDeviceGetAttribute`), and of the kernels there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// 10·major + minor: 70 for Volta.
    pub compute_capability: u32,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Shared memory that one block may have if the function's attribute is raised.
    pub shared_bytes_per_block_optin: u32,
    /// Shared memory of a multiprocessor.
    pub shared_bytes_per_multiprocessor: u32,
    /// Threads that a multiprocessor can hold.
    pub threads_per_multiprocessor: u32,
    /// Blocks that it can hold.
    pub blocks_per_multiprocessor: u32,
    /// Registers that it has.
    pub registers_per_multiprocessor: u32,
    /// What the system takes of the shared memory of each block.
    pub reserved_shared_bytes_per_block: u32,
    /// Registers of the kernels.
    pub registers: Registers,
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
    /// Bytes of dynamic shared memory of a block. Beyond 48 KiB the function's attribute must be
    /// raised to it.
    pub shared_bytes: u32,
    /// All but the addresses.
    parameters: Parameters,
}

impl Launch {
    /// What the kernel is given: the batch that was planned for, with its addresses, and
    /// [`Plan::workspace_bytes`] of workspace.
    pub fn parameters(&self, batch: DeviceBatch, workspace: DeviceAddress) -> Parameters {
        Parameters {
            batch,
            workspace,
            ..self.parameters
        }
    }
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
    /// More than 2^60 entries: offsets could wrap. A side of 0 counts as 1, since some offsets are
    /// products that leave a side out.
    #[error(
        "got {problems} problems of {rows} x {cols}, expected at most 2^60 entries in all, a side of 0 counted as 1"
    )]
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

/// The same where a multiprocessor has no other problem to solve, and threads to spare.
const WIDEST_IF_ALONE: u64 = 2 * WARP;

/// Bytes of workspace that a plan does not exceed unless one block needs more: it makes the grid
/// smaller instead.
const MOST_WORKSPACE: u64 = 512 << 20;

/// The workspace, and each block's part of it, begins at a multiple of this.
pub const WORKSPACE_ALIGNMENT: u64 = 256;

/// How a batch is solved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Bytes of workspace that the launches share; may be 0.
    pub workspace_bytes: u64,
    /// What to launch, in this order.
    pub launches: Vec<Launch>,
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
        let too_many = PlanError::TooMany {
            problems,
            rows,
            cols,
        };
        if problems > (1 << 60) / (rows.max(1) * cols.max(1)) {
            return Err(too_many);
        }
        if problems == 0 {
            return Ok(Plan {
                workspace_bytes: 0,
                launches: Vec::new(),
            });
        }
        Self::of_launches(device, costs, batch).ok_or(too_many)
    }

    /// `None` if there are more bytes than an address can count.
    fn of_launches(device: &Device, costs: CostType, batch: &DeviceBatch) -> Option<Self> {
        let kernels = [
            Kernel::search(device, costs, batch)?,
            Kernel::prove(device, costs, batch)?,
        ];
        let mut plan = Plan {
            workspace_bytes: 0,
            launches: Vec::new(),
        };
        for kernel in kernels {
            let launch = kernel.launch(device, batch)?;
            let per_block = launch.parameters.workspace_per_block;
            let bytes = per_block.checked_mul(launch.grid.into())?;
            plan.workspace_bytes = plan.workspace_bytes.max(bytes);
            plan.launches.push(launch);
        }
        Some(plan)
    }
}

/// Gives a block's arrays their places, one behind the other in each memory.
#[derive(Clone, Copy, Debug)]
struct Arena {
    /// Bytes of shared memory that a block may have.
    most_shared: u64,
    /// Bytes of it that are taken.
    shared: u64,
    /// Bytes of workspace that are taken.
    workspace: u64,
}

/// Places begin at multiples of this.
const ALIGNMENT: u64 = 16;

impl Arena {
    fn new(most_shared: u32) -> Self {
        Arena {
            most_shared: most_shared.into(),
            shared: 0,
            workspace: 0,
        }
    }

    /// A place in shared memory while there is room, else in workspace. `None` if an offset is out
    /// of range.
    fn near(&mut self, count: u64, bytes_each: u64) -> Option<Place> {
        let place = Place {
            memory: Memory::Shared,
            offset: self.shared,
        };
        let end = end_of(place, count, bytes_each)?;
        if end > self.most_shared {
            return self.far(count, bytes_each);
        }
        self.shared = end;
        Some(place)
    }

    /// A place in workspace.
    fn far(&mut self, count: u64, bytes_each: u64) -> Option<Place> {
        let place = Place {
            memory: Memory::Workspace,
            offset: self.workspace,
        };
        self.workspace = end_of(place, count, bytes_each)?;
        Some(place)
    }
}

/// Gives an array of so many elements of so many bytes a place.
type GivePlace = fn(&mut Arena, u64, u64) -> Option<Place>;

impl Arena {
    /// Places for what the algorithm keeps, in numbers of that many bytes.
    fn state(
        &mut self,
        give: GivePlace,
        size: u64,
        match_bytes: u64,
        number_bytes: u64,
    ) -> Option<StatePlaces> {
        Some(StatePlaces {
            nodes: give(self, size, NODE_BYTES)?,
            matches: give(self, size, match_bytes)?,
            col_duals: give(self, size + COLUMNS_BEHIND, number_bytes)?,
        })
    }
}

/// Where the next array may begin.
fn end_of(place: Place, count: u64, bytes_each: u64) -> Option<u64> {
    let bytes = count.checked_mul(bytes_each)?;
    place
        .offset
        .checked_add(bytes)?
        .checked_next_multiple_of(ALIGNMENT)
}

const F32: u64 = size_of::<f32>() as u64;
const I32: u64 = size_of::<i32>() as u64;
const F64: u64 = size_of::<f64>() as u64;
const TWO_F64: u64 = 2 * F64;

/// The longer side of the problems.
fn size(batch: &DeviceBatch) -> u64 {
    batch.rows.max(batch.cols) as u64
}

/// Entries from a row of a copy of costs to the next: where its rows are the batch's rows, and
/// where they are the batch's columns. Both are odd: so rows and columns of a copy spread over all
/// banks of shared memory.
fn copy_strides(batch: &DeviceBatch) -> [i64; 2] {
    [batch.cols | 1, batch.rows | 1]
}

/// Problems that a multiprocessor has to solve.
fn problems_per_multiprocessor(device: &Device, batch: &DeviceBatch) -> u64 {
    (batch.problems as u64).div_ceil(u64::from(device.multiprocessors.max(1)))
}

/// Blocks that a multiprocessor has shared memory for.
fn blocks_by_shared_memory(device: &Device, arena: &Arena) -> u64 {
    let shared = arena.shared + u64::from(device.reserved_shared_bytes_per_block);
    u64::from(device.shared_bytes_per_multiprocessor) / shared.max(1)
}

/// Entries of a copy of one problem's costs, whichever way it lies.
fn copy_entries(batch: &DeviceBatch) -> Option<u64> {
    let [stride, transposed_stride] = copy_strides(batch);
    let straight = batch.rows.checked_mul(stride)?;
    let transposed = batch.cols.checked_mul(transposed_stride)?;
    u64::try_from(straight.max(transposed)).ok()
}

/// May costs have to be copied? `in_place`: the kernel can read costs of that type where they lie.
/// Even then they are copied where more rows exist than columns, which masks decide.
fn may_need_copy(batch: &DeviceBatch, in_place: bool) -> bool {
    !in_place
        || batch.rows > batch.cols
        || batch.row_mask_is_uniform == 0
        || batch.col_mask_is_uniform == 0
}

/// A kernel and what a block of it takes.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    task: Task,
    symbol: &'static str,
    threads: u64,
    /// What is taken of a block's memory.
    arena: Arena,
    /// Only the places of the arrays are set.
    parameters: Parameters,
}

impl Kernel {
    /// The kernel that searches in f32.
    fn search(device: &Device, costs: CostType, batch: &DeviceBatch) -> Option<Self> {
        let with = Self::search_in(Memory::Shared, device, costs, batch)?;
        let without = Self::search_in(Memory::Workspace, device, costs, batch)?;
        if with.parameters.copy.memory != Memory::Shared {
            return Some(without);
        }
        // Costs in shared memory make steps about twice as fast, but leave room for fewer blocks.
        let needed = problems_per_multiprocessor(device, batch);
        let (few, many) = (
            with.blocks_per_multiprocessor(device),
            without.blocks_per_multiprocessor(device),
        );
        Some(if 2 * few >= many.min(needed) {
            with
        } else {
            without
        })
    }

    /// The same with a copy of costs in that memory: in shared memory if it fits; in workspace only
    /// if a copy may have to be made.
    fn search_in(
        memory_of_copy: Memory,
        device: &Device,
        costs: CostType,
        batch: &DeviceBatch,
    ) -> Option<Self> {
        let size = size(batch);
        let is_alone = problems_per_multiprocessor(device, batch) <= 1;
        let is_block = size > WIDEST_FOR_WARP || is_alone && size > WIDEST_IF_ALONE;
        let task = match is_block {
            false => Task::SearchByWarp,
            true => Task::SearchByBlock,
        };
        let entries = copy_entries(batch)?;
        let in_place = costs == CostType::Float;
        let mut arena = Arena::new(device.shared_bytes_per_block_optin);
        let parameters = Parameters {
            exchange: match is_block {
                true => arena.near(EXCHANGE_BYTES, 1)?,
                false => Place::default(),
            },
            state: arena.state(Arena::near, size, SINGLE_MATCH_BYTES, F32)?,
            open_rows: arena.near(2 * size + OPEN_ROW_COUNTS, I32)?,
            copy: match memory_of_copy {
                Memory::Shared => arena.near(entries, F32)?,
                _ if may_need_copy(batch, in_place) => arena.far(entries, F32)?,
                _ => Place::default(),
            },
            ..Parameters::default()
        };
        // Fewer warps wait less for each other, and leave more of the multiprocessor to other
        // problems, if there are any.
        let is_alone = is_alone || blocks_by_shared_memory(device, &arena) <= 1;
        let columns_per_thread = match size {
            _ if is_alone && size <= MOST_SEARCH_THREADS => 1,
            _ if size <= 2 * MOST_SEARCH_THREADS => 2,
            _ => COLUMNS_OF_BLOCK_THREAD,
        };
        let threads = match is_block {
            false => WARP,
            true => size.div_ceil(columns_per_thread).next_multiple_of(WARP),
        };
        Some(Kernel {
            task,
            symbol: task.kernel(costs),
            threads,
            arena,
            parameters,
        })
    }

    /// The kernel that proves in f64.
    fn prove(device: &Device, costs: CostType, batch: &DeviceBatch) -> Option<Self> {
        let size = size(batch);
        let entry = match costs {
            CostType::Half | CostType::Bfloat16 | CostType::Float => F32,
            CostType::Double => F64,
        };
        // Its pass over all costs waits for memory, and so gains more from threads than the steps
        // of a search do.
        let is_alone = problems_per_multiprocessor(device, batch) <= 1;
        let threads = match size {
            0..=32 => 32,
            33..=64 => 64,
            65..=128 if !is_alone => 128,
            _ => 256,
        };
        let in_place = matches!(costs, CostType::Float | CostType::Double);
        let mut arena = Arena::new(device.shared_bytes_per_block_optin);
        let parameters = Parameters {
            exchange: arena.near(EXCHANGE_BYTES, 1)?,
            state: arena.state(Arena::near, size, DOUBLE_MATCH_BYTES, F64)?,
            open_rows: arena.near(2 * size + OPEN_ROW_COUNTS, I32)?,
            duals: arena.near(size, F64)?,
            next_duals: arena.near(size, F64)?,
            listed_duals: arena.near(size, F64)?,
            own_costs: arena.near(size, F64)?,
            lines: arena.near(size + LINES_BEHIND, F32)?,
            near_heads: arena.near(size + 1, I32)?,
            near_pairs: arena.near(NEAR_PAIRS_PER_INDEX * size, NEAR_PAIR_BYTES)?,
            copy: match may_need_copy(batch, in_place) {
                true => arena.far(copy_entries(batch)?, entry)?,
                false => Place::default(),
            },
            wide_state: arena.state(Arena::far, size, WIDE_MATCH_BYTES, TWO_F64)?,
            wide_distances: arena.far(size, TWO_F64)?,
            wide_duals: arena.far(size, TWO_F64)?,
            ..Parameters::default()
        };
        Some(Kernel {
            task: Task::Prove,
            symbol: Task::Prove.kernel(costs),
            threads,
            arena,
            parameters,
        })
    }

    /// With as many blocks as there is work, room and memory for.
    fn launch(&self, device: &Device, batch: &DeviceBatch) -> Option<Launch> {
        let per_block = self.arena.workspace;
        let per_block = per_block.checked_next_multiple_of(WORKSPACE_ALIGNMENT)?;
        let resident = u64::from(device.multiprocessors) * self.blocks_per_multiprocessor(device);
        let affordable = MOST_WORKSPACE.checked_div(per_block).unwrap_or(u64::MAX);
        let grid = resident
            .min(batch.problems as u64)
            .min(affordable)
            .min(u64::from(device.grid_limit));
        let [copy_stride, transposed_copy_stride] = copy_strides(batch);
        Some(Launch {
            kernel: self.symbol,
            grid: grid.max(1) as u32,
            threads: self.threads as u32,
            shared_bytes: self.arena.shared as u32,
            parameters: Parameters {
                workspace_per_block: per_block,
                copy_stride,
                transposed_copy_stride,
                ..self.parameters
            },
        })
    }

    fn blocks_per_multiprocessor(&self, device: &Device) -> u64 {
        let by_shared = blocks_by_shared_memory(device, &self.arena);
        let by_threads = u64::from(device.threads_per_multiprocessor) / self.threads;
        // Each quarter of a multiprocessor gives out registers of its own, to whole warps, in units
        // of eight for each thread.
        let registers_of_thread = u64::from(device.registers.of(self.task)).max(1);
        let registers_of_warp = registers_of_thread.next_multiple_of(8) * WARP;
        let registers_of_quarter = u64::from(device.registers_per_multiprocessor) / 4;
        let by_registers = 4 * (registers_of_quarter / registers_of_warp) / (self.threads / WARP);
        let most = u64::from(device.blocks_per_multiprocessor).max(1);
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
            shared_bytes_per_block_optin: (kib - 1) << 10,
            shared_bytes_per_multiprocessor: kib << 10,
            threads_per_multiprocessor: 2048,
            blocks_per_multiprocessor: 32,
            registers_per_multiprocessor: 65536,
            reserved_shared_bytes_per_block: 1024,
            registers: Registers {
                search_by_warp: 107,
                search_by_block: 121,
                prove: 128,
            },
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
        for (problems, rows) in [
            (i64::MAX, 4096),
            (1 << 38, 4096),
            ((1 << 36) + 1, 4096),
            (1 << 60, 0),
        ] {
            assert_eq!(
                refusal(device(80, 164), batch(problems, rows, 4096)),
                format!(
                    "got {problems} problems of {rows} x 4096, expected at most 2^60 entries in all, a side of 0 counted as 1"
                )
            );
        }
        for batch in [batch(1 << 36, 4096, 4096), batch(1 << 48, 0, 4096)] {
            assert!(Plan::new(&device(80, 164), CostType::Float, &batch).is_ok());
        }
    }

    #[test]
    fn every_plan_stays_within_the_device() {
        let sides = [0, 1, 16, 100, 128, 129, 300, 1024, 1025, 4096];
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
                for (costs, problems) in CostType::ALL.into_iter().zip([1, 7, 1000, 1 << 33]) {
                    let batch = batch(problems, rows, cols);
                    let plan = Plan::new(&device, costs, &batch).expect("a plan");
                    assert_eq!(plan.launches.len(), 2);
                    for launch in &plan.launches {
                        let per_block = launch.parameters.workspace_per_block;
                        let Launch {
                            grid,
                            threads,
                            shared_bytes,
                            ..
                        } = *launch;
                        assert!(grid >= 1 && i64::from(grid) <= problems, "{launch:?}");
                        assert!(shared_bytes <= device.shared_bytes_per_block_optin);
                        assert!(u64::from(grid) * per_block <= plan.workspace_bytes);
                        assert!(u64::from(grid) * per_block <= MOST_WORKSPACE.max(per_block));
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
                    }
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
            kernels(900, 128, 3),
            [("search_by_warp_float", 32), ("prove_float", 128)]
        );
        assert_eq!(
            kernels(900, 3, 300),
            [("search_by_block_float", 160), ("prove_float", 256)]
        );
        assert_eq!(
            kernels(9, 4096, 4096),
            [("search_by_block_float", 512), ("prove_float", 256)]
        );
        assert_eq!(kernels(0, 3, 3), []);
    }

    /// A problem that has a multiprocessor to itself gets more threads. So does one whose costs
    /// fill the shared memory.
    #[test]
    fn few_problems_get_more_threads() {
        let device = device(90, 228);
        let threads = |problems, size| {
            let batch = batch(problems, size, size);
            let plan = Plan::new(&device, CostType::Float, &batch).expect("a plan");
            [0, 1].map(|index: usize| (plan.launches[index].kernel, plan.launches[index].threads))
        };
        let with = |search, threads, proof| [(search, threads), ("prove_float", proof)];
        assert_eq!(threads(100, 64), with("search_by_warp_float", 32, 64));
        assert_eq!(threads(100, 100), with("search_by_block_float", 128, 256));
        assert_eq!(threads(101, 100), with("search_by_warp_float", 32, 128));
        assert_eq!(threads(100, 300), with("search_by_block_float", 320, 256));
        assert_eq!(threads(101, 300), with("search_by_block_float", 160, 256));
        assert_eq!(threads(1, 600), with("search_by_block_float", 320, 256));
        let filling = Plan::new(&device, CostType::Float, &batch(200, 300, 150)).expect("a plan");
        assert_eq!(filling.launches[0].threads, 320);
        assert!(filling.launches[0].shared_bytes > 114 << 10);
    }

    /// By NVIDIA's calculator for 8.0: with 128 registers a thread, sixteen warps.
    #[test]
    fn registers_are_given_out_by_quarters() {
        let device = device(80, 164);
        let grid = |problems, size| {
            let batch = batch(problems, size, size);
            let plan = Plan::new(&device, CostType::Float, &batch).expect("a plan");
            plan.launches[0].grid
        };
        assert_eq!(grid(1_000_000, 16), 16 * device.multiprocessors);
        assert_eq!(grid(1_000_000, 300), 3 * device.multiprocessors);
        let registers = Registers {
            search_by_warp: 72,
            ..device.registers
        };
        let device = Device {
            registers,
            ..device
        };
        let plan = Plan::new(&device, CostType::Float, &batch(1_000_000, 16, 16)).expect("a plan");
        assert_eq!(plan.launches[0].grid, 28 * device.multiprocessors);
    }

    /// Arrays lie one behind the other, in shared memory while there is room.
    #[test]
    fn an_array_begins_where_the_one_before_ends() {
        let mut arena = Arena::new(100);
        let place = |memory, offset| Some(Place { memory, offset });
        assert_eq!(arena.near(3, 20), place(Memory::Shared, 0));
        assert_eq!(arena.near(2, 20), place(Memory::Workspace, 0));
        assert_eq!(arena.far(1, 4), place(Memory::Workspace, 48));
        assert_eq!(arena.near(4, 8), place(Memory::Shared, 64));
        assert_eq!(arena.far(0, 8), place(Memory::Workspace, 64));
        assert_eq!((arena.shared, arena.workspace), (96, 64));
    }

    #[test]
    fn no_sum_of_sizes_wraps() {
        let mut arena = Arena::new(1 << 16);
        assert_eq!(arena.near(u64::MAX / 8, 9), None);
        assert_eq!(arena.far(u64::MAX, 1), None);
        arena.workspace = u64::MAX - 15;
        assert_eq!(arena.far(1, 16), None);
        assert_eq!(copy_entries(&batch(1, i64::MAX / 2, 3)), None);
    }

    /// Costs that a kernel can read where they lie are not copied, unless the copy is in shared
    /// memory.
    #[test]
    fn a_copy_has_a_place_where_one_may_be_made() {
        let device = device(80, 164);
        let memories = |costs, batch: DeviceBatch| {
            let plan = Plan::new(&device, costs, &batch).expect("a plan");
            [0, 1].map(|index: usize| plan.launches[index].parameters.copy.memory)
        };
        let wide = batch(1, 500, 600);
        let masked = DeviceBatch {
            col_mask_is_uniform: 0,
            ..wide
        };
        use Memory::{Nowhere, Shared, Workspace};
        assert_eq!(memories(CostType::Float, wide), [Nowhere, Nowhere]);
        assert_eq!(memories(CostType::Double, wide), [Workspace, Nowhere]);
        assert_eq!(memories(CostType::Half, wide), [Workspace, Workspace]);
        assert_eq!(memories(CostType::Float, masked), [Workspace, Workspace]);
        assert_eq!(
            memories(CostType::Float, batch(1, 600, 500)),
            [Workspace, Workspace]
        );
        assert_eq!(
            memories(CostType::Float, batch(1, 50, 60)),
            [Shared, Nowhere]
        );
    }

    /// A few problems have their costs in shared memory. Many have not, where that would leave room
    /// for few blocks only.
    #[test]
    fn costs_are_near_if_that_pays() {
        let device = device(80, 164);
        let shared = |problems| {
            let plan = Plan::new(&device, CostType::Float, &batch(problems, 100, 100));
            plan.expect("a plan").launches[0].shared_bytes
        };
        assert!(shared(50) > 40_000);
        assert!(shared(100_000) < 5_000);
    }
}
