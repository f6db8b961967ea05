//! One GPU, a stream of our own on it, and batches solved there.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::sync::Arc;

use anyhow::{Context, Result};
use cudarc::driver::result::memset_d8_async;
use cudarc::driver::sys::{CUdevice_attribute, CUevent_flags};
use cudarc::driver::{CudaContext, CudaEvent, CudaSlice, CudaStream, DevicePtr, DeviceRepr};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use hungarian_loss::batch::Shape;
use hungarian_loss::cuda::driver::Stream;
use hungarian_loss::cuda::launch::{self, Workspace};
use hungarian_loss::cuda::parameters::DeviceBatch;
use hungarian_loss::cuda::plan::Plan;
use hungarian_twin::{Batch, Number, Solution};

/// The name of the device that tests use where there is no GPU: `tests/gpu/stand_in_driver.cc`.
const STAND_IN: &str = "hungarian-loss stand-in (no GPU)";

/// The first GPU.
pub struct Gpu {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// Outputs and workspace are left as they are allocated.
    pub uninitialized: bool,
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

    /// Memory as the driver gives it. To read it before it is written is a mistake that
    /// compute-sanitizer's initcheck finds.
    fn uninitialized(stream: &Arc<CudaStream>, count: usize) -> Result<Self> {
        match count {
            0 => Ok(Buffer(None)),
            // SAFETY: elements are numbers, and any bits are a number.
            count => Ok(Buffer(Some(unsafe { stream.alloc(count)? }))),
        }
    }

    fn address(&self, stream: &CudaStream) -> u64 {
        match &self.0 {
            None => 0,
            Some(slice) => slice.device_ptr(stream).0,
        }
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, CudaSlice::num_bytes)
    }

    fn download(&self, stream: &Arc<CudaStream>) -> Result<Vec<T>> {
        match &self.0 {
            None => Ok(Vec::new()),
            Some(slice) => Ok(stream.clone_dtoh(slice)?),
        }
    }
}

/// A batch on the GPU.
pub struct Uploaded<T: OnGpu> {
    cost: Buffer<T::Bits>,
    row_mask: Buffer<u8>,
    col_mask: Buffer<u8>,
    cost_limit: Buffer<T::Real>,
    shape: Shape,
    sizes: DeviceBatch,
    plan: Plan,
}

impl<T: OnGpu> Uploaded<T> {
    /// How it is solved.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Outputs and workspace of a batch, on the GPU.
struct Answered<T: OnGpu> {
    total_cost: Buffer<T::Real>,
    row_to_col: Buffer<i32>,
    col_to_row: Buffer<i32>,
    row_duals: Buffer<T::Real>,
    col_duals: Buffer<T::Real>,
    status: Buffer<i32>,
    workspace: Buffer<u8>,
}

/// Costs that can be solved here: numbers that go to the GPU as their bits.
pub trait OnGpu: Number<Real: DeviceRepr + Send + Sync> + Send + Sync {
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
            uninitialized: false,
            launched: BTreeSet::new(),
        })
    }

    /// As the driver calls it.
    pub fn name(&self) -> Result<String> {
        Ok(self.context.name()?)
    }

    /// An attribute of the device.
    pub fn attribute(&self, attribute: CUdevice_attribute) -> Result<usize> {
        Ok(usize::try_from(self.context.attribute(attribute)?)?)
    }

    /// Its context is this thread's current one from now on.
    pub fn make_current(&self) -> Result<()> {
        Ok(self.context.bind_to_thread()?)
    }

    /// Is it the stand-in that tests use in place of a GPU?
    pub fn is_stand_in(&self) -> Result<bool> {
        Ok(self.name()? == STAND_IN)
    }

    /// Does it still answer? Some errors end all that a process can do with a GPU.
    pub fn is_alive(&self) -> bool {
        let stream = &self.stream;
        let probe = || stream.clone_dtoh(&stream.clone_htod(&[1u8])?);
        probe().is_ok_and(|values| values == [1])
    }

    /// Copies a batch to the GPU, and has its kernels compiled if they are not yet.
    pub fn upload<T: OnGpu>(&mut self, batch: &Batch<T>) -> Result<Uploaded<T>> {
        let stream = &self.stream;
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
        Ok(Uploaded {
            cost: Buffer::upload(stream, T::bits(&batch.cost))?,
            row_mask: Buffer::upload(stream, &batch.row_mask)?,
            col_mask: Buffer::upload(stream, &batch.col_mask)?,
            cost_limit: Buffer::upload(stream, &batch.cost_limit)?,
            shape: batch.shape,
            sizes,
            plan,
        })
    }

    /// Solves a batch.
    pub fn solve<T: OnGpu>(&mut self, batch: &Batch<T>) -> Result<Solution<T::Real>> {
        let uploaded = self.upload(batch)?;
        self.solve_uploaded(&uploaded)
    }

    /// Solves a batch that is on the GPU, with newly allocated outputs and workspace.
    pub fn solve_uploaded<T: OnGpu>(&self, uploaded: &Uploaded<T>) -> Result<Solution<T::Real>> {
        let answered = self.make_room(uploaded)?;
        self.launch(uploaded, &answered, || ())?;
        self.stream.synchronize()?;
        let stream = &self.stream;
        Ok(Solution {
            total_cost: answered.total_cost.download(stream)?,
            row_to_col: answered.row_to_col.download(stream)?,
            col_to_row: answered.col_to_row.download(stream)?,
            row_duals: answered.row_duals.download(stream)?,
            col_duals: answered.col_duals.download(stream)?,
            status: answered.status.download(stream)?,
        })
    }

    /// Milliseconds of each launch of a batch, `runs` times over, by events around each.
    /// `before_each` may put on the stream what is not timed.
    pub fn time<T: OnGpu>(
        &self,
        uploaded: &Uploaded<T>,
        runs: usize,
        mut before_each: impl FnMut(&Arc<CudaStream>) -> Result<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let answered = self.make_room(uploaded)?;
        let event = |_| {
            self.context
                .new_event(Some(CUevent_flags::CU_EVENT_DEFAULT))
        };
        let events = (0..=uploaded.plan.launches.len()).map(event);
        let events: Vec<CudaEvent> = events.collect::<Result<_, _>>()?;
        let mut times = Vec::new();
        for _ in 0..runs {
            before_each(&self.stream)?;
            let mut next = events.iter();
            let mut recorded = Ok(());
            let mut record = || {
                if let (Ok(()), Some(event)) = (&recorded, next.next()) {
                    recorded = event.record(&self.stream);
                }
            };
            record();
            self.launch(uploaded, &answered, record)?;
            recorded?;
            self.stream.synchronize()?;
            let pairs = events.iter().zip(&events[1..]);
            let elapsed = pairs.map(|(start, end)| start.elapsed_ms(end));
            times.push(elapsed.collect::<Result<_, _>>()?);
        }
        Ok(times)
    }

    /// Returns a function that fills memory of twice the second level cache's size: afterwards the
    /// cache has nothing else.
    pub fn cache_filler(&self) -> Result<impl FnMut(&Arc<CudaStream>) -> Result<()> + use<>> {
        let bytes = self.attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?;
        let mut memory = self.stream.alloc_zeros::<u8>((2 * bytes).max(1))?;
        Ok(move |stream: &Arc<CudaStream>| Ok(stream.memset_zeros(&mut memory)?))
    }

    fn handle(&self) -> Stream {
        // SAFETY: the stream and its context live as long as `self`, and the result is not kept
        // beyond a call.
        unsafe { Stream::borrow(self.stream.cu_stream().cast::<c_void>()) }
    }

    /// Outputs and workspace. Unless they are to be left uninitialized, they are filled with what
    /// no kernel writes, so that what kernels leave out shows.
    fn make_room<T: OnGpu>(&self, uploaded: &Uploaded<T>) -> Result<Answered<T>> {
        let stream = &self.stream;
        let sizes = &uploaded.sizes;
        let bytes = launch::workspace_bytes(self.handle(), T::COST_TYPE, sizes)?;
        let workspace = Buffer::uninitialized(stream, usize::try_from(bytes)?)?;
        let Shape {
            problems,
            rows,
            cols,
        } = uploaded.shape;
        if self.uninitialized {
            return Ok(Answered {
                total_cost: Buffer::uninitialized(stream, problems)?,
                row_to_col: Buffer::uninitialized(stream, problems * rows)?,
                col_to_row: Buffer::uninitialized(stream, problems * cols)?,
                row_duals: Buffer::uninitialized(stream, problems * rows)?,
                col_duals: Buffer::uninitialized(stream, problems * cols)?,
                status: Buffer::uninitialized(stream, problems)?,
                workspace,
            });
        }
        if bytes > 0 {
            let address = workspace.address(stream);
            // SAFETY: that many bytes have just been allocated on this stream, and any bits are
            // bytes.
            unsafe { memset_d8_async(address, 0xa5, workspace.bytes(), stream.cu_stream())? };
        }
        let rubbish = Solution::<T::Real>::rubbish(uploaded.shape);
        Ok(Answered {
            total_cost: Buffer::upload(stream, &rubbish.total_cost)?,
            row_to_col: Buffer::upload(stream, &rubbish.row_to_col)?,
            col_to_row: Buffer::upload(stream, &rubbish.col_to_row)?,
            row_duals: Buffer::upload(stream, &rubbish.row_duals)?,
            col_duals: Buffer::upload(stream, &rubbish.col_duals)?,
            status: Buffer::upload(stream, &rubbish.status)?,
            workspace,
        })
    }

    fn launch<T: OnGpu>(
        &self,
        uploaded: &Uploaded<T>,
        answered: &Answered<T>,
        behind_each: impl FnMut(),
    ) -> Result<()> {
        let stream: &CudaStream = &self.stream;
        let batch = DeviceBatch {
            cost: uploaded.cost.address(stream),
            row_mask: uploaded.row_mask.address(stream),
            col_mask: uploaded.col_mask.address(stream),
            cost_limit: uploaded.cost_limit.address(stream),
            total_cost: answered.total_cost.address(stream),
            row_to_col: answered.row_to_col.address(stream),
            col_to_row: answered.col_to_row.address(stream),
            row_duals: answered.row_duals.address(stream),
            col_duals: answered.col_duals.address(stream),
            status: answered.status.address(stream),
            ..uploaded.sizes
        };
        let workspace = Workspace {
            address: answered.workspace.address(stream),
            bytes: answered.workspace.bytes() as u64,
        };
        // SAFETY: the buffers are of this stream's device and of the sizes stated, since `Batch`
        // and `Solution` have as many elements as their shape says. They are freed on the same
        // stream, behind the launches.
        unsafe {
            launch::launch_in_turn(self.handle(), T::COST_TYPE, batch, workspace, behind_each)?
        };
        Ok(())
    }
}
