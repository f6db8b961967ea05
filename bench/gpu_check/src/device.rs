//! One GPU, a stream of our own on it, and batches solved there.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::sync::Arc;

use anyhow::{Context, Result};
use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtr, DeviceRepr};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use hungarian_loss::batch::Shape;
use hungarian_loss::cuda::driver::Stream;
use hungarian_loss::cuda::launch::{self, Workspace};
use hungarian_loss::cuda::parameters::DeviceBatch;
use hungarian_twin::{Batch, Number, Solution};

/// The name of the device that tests use where there is no GPU: `tests/gpu/stand_in_driver.cc`.
const STAND_IN: &str = "hungarian-loss stand-in (no GPU)";

/// The first GPU.
pub struct Gpu {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// Kernels that were launched.
    pub launched: BTreeSet<&'static str>,
}

/// A buffer of the GPU; none where there are no elements.
struct Buffer<T>(Option<CudaSlice<T>>);

impl<T: DeviceRepr + Clone> Buffer<T> {
    fn upload(stream: &Arc<CudaStream>, values: &[T]) -> Result<Self> {
        match values {
            [] => Ok(Buffer(None)),
            values => Ok(Buffer(Some(stream.clone_htod(values)?))),
        }
    }

    fn address(&self, stream: &CudaStream) -> u64 {
        match &self.0 {
            None => 0,
            Some(slice) => slice.device_ptr(stream).0,
        }
    }

    fn download(&self, stream: &Arc<CudaStream>) -> Result<Vec<T>> {
        match &self.0 {
            None => Ok(Vec::new()),
            Some(slice) => Ok(stream.clone_dtoh(slice)?),
        }
    }
}

/// A batch on the GPU, with its outputs.
struct Uploaded<T: OnGpu> {
    cost: Buffer<T::Bits>,
    row_mask: Buffer<u8>,
    col_mask: Buffer<u8>,
    cost_limit: Buffer<T::Real>,
    total_cost: Buffer<T::Real>,
    row_to_col: Buffer<i32>,
    col_to_row: Buffer<i32>,
    row_duals: Buffer<T::Real>,
    col_duals: Buffer<T::Real>,
    status: Buffer<i32>,
    workspace: Buffer<u8>,
    sizes: DeviceBatch,
}

/// What can be solved here: numbers that go to the GPU as their bits.
pub trait OnGpu: Number<Real: DeviceRepr> {
    /// Of the same size and alignment.
    type Bits: DeviceRepr + Clone;
    /// The same memory.
    fn bits(numbers: &[Self]) -> &[Self::Bits];
}

macro_rules! on_gpu {
    ($type:ty, $bits:ty, $reinterpret:expr) => {
        impl OnGpu for $type {
            type Bits = $bits;
            fn bits(numbers: &[Self]) -> &[Self::Bits] {
                $reinterpret(numbers)
            }
        }
    };
}

on_gpu!(f16, u16, HalfFloatSliceExt::reinterpret_cast);
on_gpu!(bf16, u16, HalfFloatSliceExt::reinterpret_cast);
on_gpu!(f32, f32, std::convert::identity);
on_gpu!(f64, f64, std::convert::identity);

impl Gpu {
    /// The first GPU. There must be a driver.
    pub fn first() -> Result<Self> {
        let context = CudaContext::new(0).context("the first GPU cannot be used")?;
        let stream = context.new_stream()?;
        Ok(Gpu {
            context,
            stream,
            launched: BTreeSet::new(),
        })
    }

    /// As the driver calls it.
    pub fn name(&self) -> Result<String> {
        Ok(self.context.name()?)
    }

    /// Compute capability.
    pub fn capability(&self) -> Result<(i32, i32)> {
        Ok(self.context.compute_capability()?)
    }

    /// Is it no GPU, but what tests use instead?
    pub fn is_stand_in(&self) -> Result<bool> {
        Ok(self.name()? == STAND_IN)
    }

    /// Solves a batch.
    pub fn solve<T: OnGpu>(&mut self, batch: &Batch<T>) -> Result<Solution<T::Real>> {
        let uploaded = self.upload(batch)?;
        self.launch(&uploaded)?;
        self.stream.synchronize()?;
        let stream = &self.stream;
        Ok(Solution {
            total_cost: uploaded.total_cost.download(stream)?,
            row_to_col: uploaded.row_to_col.download(stream)?,
            col_to_row: uploaded.col_to_row.download(stream)?,
            row_duals: uploaded.row_duals.download(stream)?,
            col_duals: uploaded.col_duals.download(stream)?,
            status: uploaded.status.download(stream)?,
        })
    }

    /// Milliseconds that the launches of a batch take, `runs` times over, by events before and after.
    pub fn time<T: OnGpu>(&mut self, batch: &Batch<T>, runs: usize) -> Result<Vec<f32>> {
        let uploaded = self.upload(batch)?;
        let event = || {
            self.context
                .new_event(Some(CUevent_flags::CU_EVENT_DEFAULT))
        };
        let (before, after) = (event()?, event()?);
        let mut times = Vec::new();
        for _ in 0..runs {
            before.record(&self.stream)?;
            self.launch(&uploaded)?;
            after.record(&self.stream)?;
            after.synchronize()?;
            times.push(before.elapsed_ms(&after)?);
        }
        Ok(times)
    }

    fn handle(&self) -> Stream {
        // SAFETY: the stream lives as long as `self`, and the result is not kept beyond a call.
        unsafe { Stream::borrow(self.stream.cu_stream().cast::<c_void>()) }
    }

    fn upload<T: OnGpu>(&mut self, batch: &Batch<T>) -> Result<Uploaded<T>> {
        let stream = &self.stream;
        // What the kernels leave out must show.
        let rubbish = Solution::<T::Real>::rubbish(batch.shape);
        let Shape {
            problems,
            rows,
            cols,
        } = batch.shape;
        let sizes = DeviceBatch {
            problems: i64::try_from(problems)?,
            rows: i64::try_from(rows)?,
            cols: i64::try_from(cols)?,
            row_mask_is_uniform: i32::from(batch.row_mask_is_uniform),
            col_mask_is_uniform: i32::from(batch.col_mask_is_uniform),
            cost_limit_is_uniform: i32::from(batch.cost_limit_is_uniform),
            maximize: i32::from(batch.maximize),
            ..DeviceBatch::default()
        };
        let plan = launch::plan(self.handle(), T::COST_TYPE, &sizes)?;
        let kernels = plan.launches.iter().map(|launch| launch.kernel);
        self.launched.extend(kernels);
        let bytes = launch::workspace_bytes(self.handle(), T::COST_TYPE, &sizes)?;
        Ok(Uploaded {
            cost: Buffer::upload(stream, T::bits(&batch.cost))?,
            row_mask: Buffer::upload(stream, &batch.row_mask)?,
            col_mask: Buffer::upload(stream, &batch.col_mask)?,
            cost_limit: Buffer::upload(stream, &batch.cost_limit)?,
            total_cost: Buffer::upload(stream, &rubbish.total_cost)?,
            row_to_col: Buffer::upload(stream, &rubbish.row_to_col)?,
            col_to_row: Buffer::upload(stream, &rubbish.col_to_row)?,
            row_duals: Buffer::upload(stream, &rubbish.row_duals)?,
            col_duals: Buffer::upload(stream, &rubbish.col_duals)?,
            status: Buffer::upload(stream, &rubbish.status)?,
            workspace: Buffer::upload(stream, &vec![0xa5; usize::try_from(bytes)?])?,
            sizes,
        })
    }

    fn launch<T: OnGpu>(&self, uploaded: &Uploaded<T>) -> Result<()> {
        let stream: &CudaStream = &self.stream;
        let batch = DeviceBatch {
            cost: uploaded.cost.address(stream),
            row_mask: uploaded.row_mask.address(stream),
            col_mask: uploaded.col_mask.address(stream),
            cost_limit: uploaded.cost_limit.address(stream),
            total_cost: uploaded.total_cost.address(stream),
            row_to_col: uploaded.row_to_col.address(stream),
            col_to_row: uploaded.col_to_row.address(stream),
            row_duals: uploaded.row_duals.address(stream),
            col_duals: uploaded.col_duals.address(stream),
            status: uploaded.status.address(stream),
            ..uploaded.sizes
        };
        let workspace = Workspace {
            address: uploaded.workspace.address(stream),
            bytes: uploaded
                .workspace
                .0
                .as_ref()
                .map_or(0, |slice| slice.num_bytes() as u64),
        };
        // SAFETY: the buffers are of this stream's device and of the sizes stated, for `Batch` and `Solution` have as many
        // elements as their shape says. They are freed on the same stream, behind the launches.
        unsafe { launch::launch(self.handle(), T::COST_TYPE, batch, workspace)? };
        Ok(())
    }
}
