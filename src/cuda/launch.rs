//! From a batch in device memory to launches on its stream: which device, which plan, which
//! kernels.
//!
//! The kernels for a type of costs are loaded once per context, which the driver takes seconds for:
//! it compiles PTX. Nothing here waits for the device, nor for another context's or type's kernels.

use std::collections::{HashMap, TryReserveError};
use std::ffi::{CStr, CString};
use std::sync::{Arc, LazyLock, Mutex};

use cudarc::driver::sys::CUdevice_attribute as Attribute;

use crate::cuda::driver::{Context, Driver, DriverError, Function, Ordinal, Stream};
use crate::cuda::image::{image_for, with_kernels_of};
use crate::cuda::once::{OncePerKey, lock};
use crate::cuda::parameters::{DeviceAddress, DeviceBatch};
use crate::cuda::plan::{CostType, Device, Plan, PlanError, Registers, Task, WORKSPACE_ALIGNMENT};

/// Dynamic shared memory that a kernel may have without asking.
const SHARED_BYTES_UNASKED: u32 = 48 * 1024;

/// Why a batch was not launched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The driver is missing, too old, or has refused a call.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The kernels cannot solve it, or not on this device.
    #[error("{0}; place the op on the CPU")]
    Plan(#[from] PlanError),
    /// The host has no memory for the kernels' text.
    #[error(
        "no memory of the host for the kernels, of which the driver is to be given a copy: {0}; free some"
    )]
    Memory(#[from] TryReserveError),
    /// The workspace is not what [`workspace_bytes`] asked for.
    #[error("got {got} bytes of workspace, expected {expected}; please report it")]
    Workspace {
        /// Its size.
        got: u64,
        /// What it should be.
        expected: u64,
    },
}

/// Memory of the device to work in.
#[derive(Clone, Copy, Debug)]
pub struct Workspace {
    /// Where it begins, aligned or not.
    pub address: DeviceAddress,
    /// Its size.
    pub bytes: u64,
}

/// How such a batch is solved on this stream's device; its addresses need not be known yet.
///
/// # Errors
///
/// No driver, no device that can do it, or a problem too large.
pub fn plan(stream: Stream, costs: CostType, batch: &DeviceBatch) -> Result<Plan, LaunchError> {
    let driver = Driver::get()?;
    let prepared = prepared(driver, driver.context_of(stream)?, costs)?;
    Ok(Plan::new(&prepared.device, costs, batch)?)
}

/// Bytes of workspace that [`launch`] needs for such a batch on this stream, whose addresses need
/// not be known yet.
///
/// # Errors
///
/// As [`plan`]. A batch of no problems asks for nothing, not even a driver.
pub fn workspace_bytes(
    stream: Stream,
    costs: CostType,
    batch: &DeviceBatch,
) -> Result<u64, LaunchError> {
    match batch.problems {
        0 => Ok(0),
        _ => Ok(with_room_to_align(
            plan(stream, costs, batch)?.workspace_bytes,
        )),
    }
}

/// Launches what solves a batch. Returns before it has run.
///
/// # Errors
///
/// As [`plan`]; or the driver refuses. Then the outputs are not to be used.
///
/// # Safety
///
/// All addresses of the batch must be of the stream's device, and have as many elements as the
/// sizes say; the workspace too. They must stay so until the stream has passed the launches.
pub unsafe fn launch(
    stream: Stream,
    costs: CostType,
    batch: DeviceBatch,
    workspace: Workspace,
) -> Result<(), LaunchError> {
    // SAFETY: the caller's promise.
    unsafe { launch_in_turn(stream, costs, batch, workspace, || ()) }
}

/// The same, with `behind_each` called after each launch of the plan: what it puts on the stream
/// comes before the next launch.
///
/// # Errors
///
/// As [`launch`].
///
/// # Safety
///
/// As [`launch`].
pub unsafe fn launch_in_turn(
    stream: Stream,
    costs: CostType,
    batch: DeviceBatch,
    workspace: Workspace,
    mut behind_each: impl FnMut(),
) -> Result<(), LaunchError> {
    if batch.problems == 0 {
        return Ok(());
    }
    let driver = Driver::get()?;
    let context = driver.context_of(stream)?;
    let prepared = prepared(driver, context, costs)?;
    let plan = Plan::new(&prepared.device, costs, &batch)?;
    let expected = with_room_to_align(plan.workspace_bytes);
    if workspace.bytes < expected {
        return Err(LaunchError::Workspace {
            got: workspace.bytes,
            expected,
        });
    }
    let aligned = workspace.address.next_multiple_of(WORKSPACE_ALIGNMENT);
    driver.within(context, || {
        for launch in &plan.launches {
            let function = prepared.function(driver, launch.kernel, launch.shared_bytes)?;
            let parameters = launch.parameters(batch, aligned);
            // SAFETY: the kernels take `Parameters`; the batch is the caller's promise, and the
            // workspace has the bytes that the plan asks for, from its first aligned address on,
            // too: see above.
            unsafe { driver.launch(function, launch, stream, &parameters)? };
            behind_each();
        }
        Ok(())
    })
}

/// Room for the workspace at an aligned address, as the allocator may not align it as the kernels
/// need it.
fn with_room_to_align(bytes: u64) -> u64 {
    match bytes {
        0 => 0,
        bytes => bytes.saturating_add(WORKSPACE_ALIGNMENT - 1),
    }
}

/// What is known of a context: its device, and the kernels for a type of costs in it.
struct Prepared {
    device: Device,
    kernels: Mutex<HashMap<&'static str, LoadedKernel>>,
}

#[derive(Clone, Copy)]
struct LoadedKernel {
    function: Function,
    /// Dynamic shared memory that it may have.
    shared_bytes: u32,
}

/// The context's kernels, loaded if they are not yet.
fn prepared(
    driver: &Driver,
    context: Context,
    costs: CostType,
) -> Result<Arc<Prepared>, LaunchError> {
    // By the context's number, not its address: another context may get the address of one that is
    // gone, whose functions are gone too.
    static PREPARED: LazyLock<OncePerKey<(u64, CostType), Prepared>> =
        LazyLock::new(OncePerKey::default);
    PREPARED.get((driver.id_of(context)?, costs), || {
        driver.within(context, || Prepared::new(driver, costs))
    })
}

impl Prepared {
    /// In the current context.
    fn new(driver: &Driver, costs: CostType) -> Result<Self, LaunchError> {
        let device = driver.current_device()?;
        let capability = capability(driver, device)?;
        let ptx = image_for(capability).ok_or(PlanError::TooOld(capability))?;
        let ptx = with_kernels_of(ptx, costs)?;
        let ptx = CStr::from_bytes_with_nul(ptx.as_bytes()).expect("one zero, at the end");
        let module = driver.load(ptx)?;
        let mut kernels = HashMap::new();
        let mut registers_of = |task: Task| {
            let symbol = task.kernel(costs);
            let function = driver.function(module, &c_string(symbol))?;
            let shared_bytes = SHARED_BYTES_UNASKED;
            kernels.insert(
                symbol,
                LoadedKernel {
                    function,
                    shared_bytes,
                },
            );
            driver.registers(function)
        };
        let registers = Registers {
            search_by_warp: registers_of(Task::SearchByWarp)?,
            search_by_block: registers_of(Task::SearchByBlock)?,
            prove: registers_of(Task::Prove)?,
        };
        Ok(Prepared {
            device: describe(driver, device, capability, registers)?,
            kernels: Mutex::new(kernels),
        })
    }

    /// A kernel that may be launched with that much dynamic shared memory, in the current context.
    fn function(
        &self,
        driver: &Driver,
        symbol: &'static str,
        shared_bytes: u32,
    ) -> Result<Function, DriverError> {
        let mut kernels = lock(&self.kernels);
        let kernel = kernels
            .get_mut(symbol)
            .expect("a plan's kernels are those of a task");
        // Only ever raised, so that no other thread's launch is refused.
        if shared_bytes > kernel.shared_bytes {
            driver.allow_shared_bytes(kernel.function, shared_bytes)?;
            kernel.shared_bytes = shared_bytes;
        }
        Ok(kernel.function)
    }
}

fn capability(driver: &Driver, device: Ordinal) -> Result<u32, DriverError> {
    let attribute = |attribute| driver.attribute(device, attribute);
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    Ok(10 * major + minor)
}

fn describe(
    driver: &Driver,
    device: Ordinal,
    compute_capability: u32,
    registers: Registers,
) -> Result<Device, DriverError> {
    let attribute = |attribute| driver.attribute(device, attribute);
    Ok(Device {
        compute_capability,
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        shared_bytes_per_block_optin: attribute(
            Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
        )?,
        shared_bytes_per_multiprocessor: attribute(
            Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
        )?,
        threads_per_multiprocessor: attribute(
            Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR,
        )?,
        blocks_per_multiprocessor: attribute(
            Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR,
        )?,
        registers_per_multiprocessor: attribute(
            Attribute::CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR,
        )?,
        reserved_shared_bytes_per_block: attribute(
            Attribute::CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK,
        )?,
        registers,
        grid_limit: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)?,
    })
}

/// As C has it.
fn c_string(symbol: &str) -> CString {
    CString::new(symbol).expect("a kernel's symbol has no zero byte")
}
