//! The kernels as this GPU's driver compiles them: how long that takes, and what became of each.

use std::collections::BTreeMap;
use std::ffi::{CString, c_int};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cudarc::driver::result::{function, module};
use cudarc::driver::sys::{self, CUdevice_attribute, CUfunction_attribute};
use hungarian_loss::cuda::image::{image_for, with_kernels_of};
use hungarian_loss::cuda::plan::{CostType, Launch, Task};

use crate::device::Gpu;

/// All kernels, in modules of their own that stay loaded.
pub struct Kernels {
    functions: BTreeMap<&'static str, sys::CUfunction>,
    /// For each type of costs, how long it took until the driver had compiled its kernels.
    pub load_times: Vec<(CostType, Duration)>,
}

/// What the driver says of a kernel.
pub struct Attributes {
    registers: c_int,
    shared: c_int,
    local: c_int,
    most_threads: c_int,
}

impl Kernels {
    /// Has the driver compile what `launch` would load on this GPU.
    pub fn load(gpu: &Gpu) -> Result<Self> {
        let attribute = |attribute| gpu.attribute(attribute);
        let capability = 10
            * attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?
            + attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        let capability = u32::try_from(capability)?;
        gpu.make_current()?;
        let mut kernels = Kernels {
            functions: BTreeMap::new(),
            load_times: Vec::new(),
        };
        for costs in CostType::ALL {
            let ptx = image_for(capability)
                .context("the kernels are not made for a GPU as old as this")?;
            let text = with_kernels_of(ptx, costs)?;
            let start = Instant::now();
            // SAFETY: PTX is read up to the zero that ends it.
            let module = unsafe { module::load_data(text.as_ptr().cast())? };
            for task in Task::ALL {
                let name = task.kernel(costs);
                // SAFETY: the module has just been loaded.
                let function = unsafe { module::get_function(module, CString::new(name)?) };
                kernels.functions.insert(name, function.context(name)?);
            }
            kernels.load_times.push((costs, start.elapsed()));
        }
        Ok(kernels)
    }

    /// Names, and what the driver says of them.
    pub fn attributes(&self) -> impl Iterator<Item = Result<(&'static str, Attributes)>> {
        self.functions.iter().map(|(&name, &function)| {
            let attribute = |attribute| {
                // SAFETY: the function's module stays loaded.
                unsafe { function::get_function_attribute(function, attribute) }
            };
            let attributes = Attributes {
                registers: attribute(CUfunction_attribute::CU_FUNC_ATTRIBUTE_NUM_REGS)?,
                shared: attribute(CUfunction_attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?,
                local: attribute(CUfunction_attribute::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)?,
                most_threads: attribute(
                    CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
                )?,
            };
            Ok((name, attributes))
        })
    }

    /// Blocks of a launch that a multiprocessor holds at a time, as the driver counts them.
    pub fn resident_blocks(&self, launch: &Launch) -> Result<c_int> {
        let function = self.functions.get(launch.kernel);
        let function = *function.context("no such kernel was loaded")?;
        let (threads, shared) = (c_int::try_from(launch.threads)?, launch.shared_bytes);
        let mut blocks = 0;
        // SAFETY: the function's module stays loaded; the pointer is to a local.
        unsafe {
            function::set_function_attribute(
                function,
                CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                c_int::try_from(shared)?,
            )?;
            sys::cuOccupancyMaxActiveBlocksPerMultiprocessor(
                &mut blocks,
                function,
                threads,
                shared as usize,
            )
            .result()?;
        }
        Ok(blocks)
    }
}

impl std::fmt::Display for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Attributes {
            registers,
            shared,
            local,
            most_threads,
        } = self;
        write!(
            f,
            "{registers} registers, {shared} bytes of static shared memory, {local} bytes of local memory, at most \
             {most_threads} threads"
        )
    }
}

/// All kernels that there are.
pub fn all_names() -> impl Iterator<Item = &'static str> {
    CostType::ALL
        .into_iter()
        .flat_map(|costs| Task::ALL.map(|task| task.kernel(costs)))
}
