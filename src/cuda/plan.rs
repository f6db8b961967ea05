//! Which kernels solve a batch, and how they are launched.

use super::parameters::{DeviceAddress, DeviceBatch, Parameters};

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
pub enum PlanError {}

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
    pub fn new(
        _device: &Device,
        _costs: CostType,
        _batch: &DeviceBatch,
    ) -> Result<Self, PlanError> {
        todo!()
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
