//! The driver calls that a launch takes. No other module calls the driver.
//!
//! libcuda is opened when it is first asked for. Types and signatures are cudarc's. The library is
//! opened and the calls are looked up here: cudarc would take a library of stubs for the driver,
//! would panic where there is no driver or it lacks a function, and does not know every result.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::fmt;
use std::ptr::{self, null_mut};
use std::sync::OnceLock;

use cudarc::driver::sys;
use libloading::Library;

use crate::cuda::parameters::Parameters;
use crate::cuda::plan::Launch;

/// The oldest driver that takes our PTX, as `cuDriverGetVersion` has it.
const OLDEST: c_int = 12000;

/// The driver, by the name that TensorFlow opens it by. (A library of stubs lacks the number.)
const LIBRARY: &str = "libcuda.so.1";

/// Bytes for the log of the driver's compiler.
const LOG_BYTES: usize = 4096;

/// Why the driver did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// There is no libcuda.
    #[error(
        "found no CUDA driver ({LIBRARY}), expected that of the GPU on which this runs: install NVIDIA's driver, R525 or \
         later, or place the op on the CPU"
    )]
    Missing,
    /// libcuda is older than any that takes our PTX.
    #[error(
        "the CUDA driver is too old: got one for CUDA {}.{}, expected 12.0 or later: update NVIDIA's driver to R525 or later, \
         or place the op on the CPU", .0 / 1000, .0 % 1000 / 10
    )]
    TooOld(i32),
    /// libcuda does not have a function that one of its version has.
    #[error(
        "the CUDA driver has no function {0}: what was found as {LIBRARY} is not NVIDIA's driver of version R525 or later; \
         see which file that is (ldconfig -p), or place the op on the CPU"
    )]
    MissingFunction(&'static str),
    /// A call did not succeed.
    #[error("{0}")]
    Refused(Refusal),
}

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The driver's function.
    pub call: &'static str,
    /// Its result.
    pub code: i32,
    /// What the driver says of that result.
    pub meaning: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { call, meaning, .. } = self;
        write!(f, "{call} failed: {meaning}; {}", self.advice())
    }
}

impl Refusal {
    /// What kind of refusal it is, from its result.
    pub fn cause(&self) -> Cause {
        // The numbers are CUresult's, whose names stand beside them.
        match self.code {
            2 => Cause::Memory, // OUT_OF_MEMORY
            // NO_DEVICE, INVALID_DEVICE, DEVICE_NOT_LICENSED, DEVICE_UNAVAILABLE
            46 | 100..=102 => Cause::Device,
            // NO_BINARY_FOR_GPU, INVALID_PTX, JIT_COMPILER_NOT_FOUND, UNSUPPORTED_PTX_VERSION,
            // JIT_COMPILATION_DISABLED
            209 | 218 | 221..=223 => Cause::Image,
            // SYSTEM_NOT_READY, SYSTEM_DRIVER_MISMATCH, COMPAT_NOT_SUPPORTED_ON_DEVICE;
            // STUB_LIBRARY
            34 | 802..=804 => Cause::Installation,
            // ECC_UNCORRECTABLE, NVLINK_UNCORRECTABLE, CONTAINED, ILLEGAL_ADDRESS, LAUNCH_TIMEOUT,
            // TENSOR_MEMORY_LEAK, and all others that a failed kernel leaves behind.
            214 | 220 | 226 | 700 | 702 | 710 | 714..=719 | 721 => Cause::Earlier,
            _ => Cause::Other,
        }
    }

    fn advice(&self) -> &'static str {
        match self.cause() {
            Cause::Memory => {
                "free memory of the GPU: run a smaller batch, or leave the driver more than TensorFlow does by itself \
                 (tf.config.experimental.set_memory_growth)"
            }
            Cause::Device => {
                "see whether nvidia-smi and CUDA_VISIBLE_DEVICES show the GPU to this process, or place the op on the CPU"
            }
            Cause::Image => {
                "the driver must be able to compile PTX for this GPU: update it to R525 or later with its PTX compiler \
                 (libnvidia-ptxjitcompiler.so), and see that CUDA_DISABLE_PTX_JIT is not set; or place the op on the CPU"
            }
            Cause::Installation => {
                "what was found as libcuda is not a whole driver: after an update restart the machine, take folders of stubs \
                 out of LD_LIBRARY_PATH, or install NVIDIA's driver again; or place the op on the CPU"
            }
            Cause::Earlier => {
                "a kernel that was launched before has failed, not necessarily one of this op: run with \
                 CUDA_LAUNCH_BLOCKING=1 to see which, and start the process again"
            }
            Cause::Other => {
                "please report it with the GPU's name and the driver's version, and place the op on the CPU until then"
            }
        }
    }
}

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The GPU's memory is full.
    Memory,
    /// There is no GPU that this process may use.
    Device,
    /// The driver cannot compile our PTX for this GPU.
    Image,
    /// The driver is not installed properly.
    Installation,
    /// A kernel that was launched before has failed.
    Earlier,
    /// None of these.
    Other,
}

macro_rules! calls {
    ($table:ident: $($name:ident($($argument:ty),*);)*) => {
        /// Functions that we call, looked up.
        #[allow(non_snake_case)]
        struct $table {
            $($name: unsafe extern "C" fn($($argument),*) -> c_int,)*
        }

        // The arguments are those of cudarc's declarations.
        $(const _: unsafe fn($($argument),*) -> sys::CUresult = sys::$name;)*

        impl $table {
            /// Looks the functions up.
            fn look_up(library: &Library) -> Result<Self, DriverError> {
                // SAFETY: the functions have these arguments, as checked above, and CUresult is an
                // int of C's. The library is never closed, see `library`.
                unsafe {
                    Ok($table {
                        $($name: *library
                            .get(stringify!($name).as_bytes())
                            .map_err(|_| DriverError::MissingFunction(stringify!($name)))?,)*
                    })
                }
            }
        }
    };
}

// Called first: an old driver does not have all functions that follow.
calls! {
    VersionCall:
    cuDriverGetVersion(*mut c_int);
}

calls! {
    Calls:
    cuInit(c_uint);
    cuStreamGetCtx(sys::CUstream, *mut sys::CUcontext);
    cuCtxGetId(sys::CUcontext, *mut c_ulonglong);
    cuCtxPushCurrent_v2(sys::CUcontext);
    cuCtxPopCurrent_v2(*mut sys::CUcontext);
    cuCtxGetDevice(*mut sys::CUdevice);
    cuDeviceGetAttribute(*mut c_int, sys::CUdevice_attribute, sys::CUdevice);
    cuModuleLoadDataEx(
        *mut sys::CUmodule, *const c_void, c_uint, *mut sys::CUjit_option, *mut *mut c_void
    );
    cuModuleGetFunction(*mut sys::CUfunction, sys::CUmodule, *const c_char);
    cuFuncGetAttribute(*mut c_int, sys::CUfunction_attribute, sys::CUfunction);
    cuFuncSetAttribute(sys::CUfunction, sys::CUfunction_attribute, c_int);
    cuLaunchKernel(
        sys::CUfunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, sys::CUstream,
        *mut *mut c_void, *mut *mut c_void
    );
}

/// libcuda.
fn library() -> Result<&'static Library, DriverError> {
    static OPENED: OnceLock<Library> = OnceLock::new();
    if let Some(library) = OPENED.get() {
        return Ok(library);
    }
    // SAFETY: running the initialisers of a libcuda is what we are asked for.
    let library = unsafe { Library::new(LIBRARY) }.map_err(|_| DriverError::Missing)?;
    Ok(OPENED.get_or_init(|| library))
}

/// A stream that somebody else owns. Null is the default stream of the calling thread's context.
#[derive(Clone, Copy, Debug)]
pub struct Stream(sys::CUstream);

impl Stream {
    /// The stream that `handle` (a `CUstream`) names.
    ///
    /// # Safety
    ///
    /// The stream, and so its context, must exist for as long as this value, or a [`Context`] that
    /// was asked of it, is used.
    pub unsafe fn borrow(handle: *mut c_void) -> Self {
        Stream(handle.cast())
    }
}

/// The context of a [`Stream`]. It exists, by the promise of [`Stream::borrow`].
#[derive(Clone, Copy, Debug)]
pub struct Context(sys::CUcontext);

/// A device.
#[derive(Clone, Copy, Debug)]
pub struct Ordinal(sys::CUdevice);

/// A module. It is never unloaded: it goes with its context. `launch.rs` uses it only while that is
/// current, and does not keep it.
#[derive(Clone, Copy, Debug)]
pub struct Module(sys::CUmodule);

/// A kernel of a module. It goes with its context: `launch.rs` keeps it beside the number that
/// [`Driver::id_of`] gives that context, and uses it only where a stream's context has this number,
/// which no other one ever has.
#[derive(Clone, Copy, Debug)]
pub struct Function(sys::CUfunction);

// SAFETY: to us a handle is a name. The driver may be called from any thread.
unsafe impl Send for Function {}

/// The driver, opened and initialised.
pub struct Driver {
    calls: Calls,
    version: c_int,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

/// Calls a function of a table by its name.
macro_rules! call {
    ($table:expr, $name:ident($($argument:expr),*)) => {
        check(stringify!($name), ($table.$name)($($argument),*))
    };
}

impl Driver {
    /// The driver of this process. A failure is not remembered: the next call tries again.
    ///
    /// # Errors
    ///
    /// There is none, it is too old, or it cannot be initialised.
    pub fn get() -> Result<&'static Self, DriverError> {
        static DRIVER: OnceLock<Driver> = OnceLock::new();
        if let Some(driver) = DRIVER.get() {
            return Ok(driver);
        }
        // Two threads may both get here; the driver may be opened and initialised twice.
        let driver = Self::open()?;
        Ok(DRIVER.get_or_init(|| driver))
    }

    fn open() -> Result<Self, DriverError> {
        let library = library()?;
        let mut version = 0;
        // SAFETY: the pointer is to a local.
        unsafe {
            call!(
                VersionCall::look_up(library)?,
                cuDriverGetVersion(&mut version)
            )?
        };
        if version < OLDEST {
            return Err(DriverError::TooOld(version));
        }
        let calls = Calls::look_up(library)?;
        // SAFETY: takes no pointer; TensorFlow may have done it before, and it may be done again.
        unsafe { call!(calls, cuInit(0))? };
        Ok(Driver { calls, version })
    }

    /// The version of CUDA that the driver is for: 1000·major + 10·minor.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// The context that a stream belongs to.
    pub fn context_of(&self, stream: Stream) -> Result<Context, DriverError> {
        let mut context = null_mut();
        // SAFETY: the stream exists (`Stream::borrow`), the pointer is to a local.
        unsafe { call!(self.calls, cuStreamGetCtx(stream.0, &mut context))? };
        Ok(Context(context))
    }

    /// A number that no other context of this process has or will have, unlike its address.
    pub fn id_of(&self, context: Context) -> Result<u64, DriverError> {
        let mut id = 0;
        // SAFETY: the context exists (`Stream::borrow`), the pointer is to a local.
        unsafe { call!(self.calls, cuCtxGetId(context.0, &mut id))? };
        Ok(id)
    }

    /// Does `work` while `context` is the calling thread's current one; afterwards that is again
    /// what it was.
    pub fn within<T, E: From<DriverError>>(
        &self,
        context: Context,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        // SAFETY: the context exists (`Stream::borrow`).
        unsafe { call!(self.calls, cuCtxPushCurrent_v2(context.0))? };
        // Also after a panic.
        let pushed = Pushed { driver: self };
        let result = work();
        let popped = pushed.pop();
        let result = result?;
        popped?;
        Ok(result)
    }

    /// The current context's device.
    pub fn current_device(&self) -> Result<Ordinal, DriverError> {
        let mut device = 0;
        // SAFETY: the pointer is to a local.
        unsafe { call!(self.calls, cuCtxGetDevice(&mut device))? };
        Ok(Ordinal(device))
    }

    /// An attribute of a device. None that is asked for here is negative.
    pub fn attribute(
        &self,
        device: Ordinal,
        attribute: sys::CUdevice_attribute,
    ) -> Result<u32, DriverError> {
        let mut value = 0;
        // SAFETY: the pointer is to a local.
        unsafe {
            call!(
                self.calls,
                cuDeviceGetAttribute(&mut value, attribute, device.0)
            )?
        };
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// Compiles PTX for the current context.
    pub fn load(&self, ptx: &CStr) -> Result<Module, DriverError> {
        let mut module = null_mut();
        let mut log = [0u8; LOG_BYTES];
        let mut options = [
            sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER,
            sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        ];
        // A number travels as a pointer.
        let mut values = [
            log.as_mut_ptr().cast(),
            ptr::without_provenance_mut(LOG_BYTES),
        ];
        // SAFETY: PTX is read up to the zero that ends it; all other pointers are to locals, and
        // the log's size is given.
        let loaded = unsafe {
            call!(
                self.calls,
                cuModuleLoadDataEx(
                    &mut module,
                    ptx.as_ptr().cast(),
                    options.len() as c_uint,
                    options.as_mut_ptr(),
                    values.as_mut_ptr()
                )
            )
        };
        loaded.map_err(|error| with_log(error, &log))?;
        Ok(Module(module))
    }

    /// A kernel by its symbol.
    pub fn function(&self, module: Module, symbol: &CStr) -> Result<Function, DriverError> {
        let mut function = null_mut();
        // SAFETY: the module is loaded for as long as its context exists, and is used only while
        // that is current (`Module`); the symbol ends with a zero; the pointer is to a local.
        unsafe {
            call!(
                self.calls,
                cuModuleGetFunction(&mut function, module.0, symbol.as_ptr())
            )?
        };
        Ok(Function(function))
    }

    /// Registers of a thread of a kernel.
    pub fn registers(&self, function: Function) -> Result<u32, DriverError> {
        const REGISTERS: sys::CUfunction_attribute =
            sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_NUM_REGS;
        let mut value = 0;
        // SAFETY: the function's module is loaded for as long as its context exists, beyond which
        // no function is used (`Function`); the pointer is to a local.
        unsafe {
            call!(
                self.calls,
                cuFuncGetAttribute(&mut value, REGISTERS, function.0)
            )?
        };
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// Lets a kernel be launched with that much dynamic shared memory.
    pub fn allow_shared_bytes(&self, function: Function, bytes: u32) -> Result<(), DriverError> {
        const MOST: sys::CUfunction_attribute =
            sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        // SAFETY: the function's module is loaded for as long as its context exists, beyond which
        // no function is used (`Function`).
        unsafe { call!(self.calls, cuFuncSetAttribute(function.0, MOST, bytes)) }
    }

    /// Launches a kernel of one argument on a stream of the current context. Returns before it has
    /// run.
    ///
    /// # Safety
    ///
    /// The kernel takes `Parameters`; what is in them must be addresses in the device's memory, of
    /// as many elements as the sizes beside them say, until the stream has passed the kernel.
    pub unsafe fn launch(
        &self,
        function: Function,
        launch: &Launch,
        stream: Stream,
        parameters: &Parameters,
    ) -> Result<(), DriverError> {
        let &Launch {
            grid,
            threads,
            shared_bytes,
            ..
        } = launch;
        let mut arguments = [ptr::from_ref(parameters).cast_mut().cast::<c_void>()];
        // SAFETY: the driver copies the argument before it returns and does not write to it; its
        // type, and what its addresses are, is the caller's promise.
        unsafe {
            call!(
                self.calls,
                cuLaunchKernel(
                    function.0,
                    grid,
                    1,
                    1,
                    threads,
                    1,
                    1,
                    shared_bytes,
                    stream.0,
                    arguments.as_mut_ptr(),
                    null_mut()
                )
            )
        }
    }
}

/// A context that was made current.
struct Pushed<'a> {
    driver: &'a Driver,
}

impl Pushed<'_> {
    fn pop(self) -> Result<(), DriverError> {
        let popped = self.pop_current();
        std::mem::forget(self);
        popped
    }

    fn pop_current(&self) -> Result<(), DriverError> {
        let mut context = null_mut();
        // SAFETY: the pointer is to a local.
        unsafe { call!(self.driver.calls, cuCtxPopCurrent_v2(&mut context)) }
    }
}

impl Drop for Pushed<'_> {
    fn drop(&mut self) {
        // Only while a panic unwinds, which says more than this could.
        let _ = self.pop_current();
    }
}

/// Puts the log of the driver's compiler behind what the driver says of the result.
fn with_log(error: DriverError, log: &[u8]) -> DriverError {
    let written = log.split(|&byte| byte == 0).next().unwrap_or_default();
    let words = String::from_utf8_lossy(written);
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match error {
        DriverError::Refused(refusal) if !words.is_empty() => DriverError::Refused(Refusal {
            meaning: format!("{}: {words}", refusal.meaning),
            ..refusal
        }),
        error => error,
    }
}

fn check(call: &'static str, code: c_int) -> Result<(), DriverError> {
    if code == 0 {
        return Ok(());
    }
    Err(DriverError::Refused(Refusal {
        call,
        code,
        meaning: meaning(code),
    }))
}

/// "CUDA_ERROR_INVALID_VALUE (1), invalid argument", in the driver's words.
fn meaning(code: c_int) -> String {
    match (text("cuGetErrorName", code), text("cuGetErrorString", code)) {
        (Some(name), Some(words)) => {
            format!("{name} ({code}), {}", words.trim_end_matches('.'))
        }
        _ => format!("result {code}, which the driver has no name for"),
    }
}

fn text(function: &str, code: c_int) -> Option<String> {
    // cudarc's declarations take an enumeration, and not every result is one of its values.
    type Describe = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;
    let mut text = ptr::null();
    // SAFETY: both functions have this type, a C enumeration being an int, and set the pointer to a
    // string that is never freed, or to null.
    unsafe {
        let describe = library().ok()?.get::<Describe>(function.as_bytes()).ok()?;
        if describe(code, &mut text) != 0 || text.is_null() {
            return None;
        }
        Some(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
