//! Stands in for the crate `curl` where this repository is built, and downloads nothing.
//!
//! The build script of tensorflow-sys uses curl for one thing: when pkg-config does not know
//! TensorFlow, it downloads libtensorflow 2.13. Here TensorFlow always comes from the installed Python
//! wheel, because `_hungarian.so` works only with the TensorFlow that it was built for. A download
//! could only hide a mistake, and the real curl would need OpenSSL's headers on every machine that
//! builds this. So the root Cargo.toml puts this crate in curl's place: it has the names that the build
//! script compiles against, and every operation that could lead to a download fails and says what to do.

/// The part of `curl::easy` that the build script of tensorflow-sys names.
pub mod easy {
    use std::fmt;

    /// The one error there is: downloads are switched off.
    pub struct Error;

    impl fmt::Display for Error {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(
                "downloading TensorFlow is switched off: run `make test`, or let PKG_CONFIG_PATH name \
                 the directory of a tensorflow.pc (examples/serving/link_tensorflow.py writes one) and \
                 PKG_CONFIG a pkg-config program",
            )
        }
    }

    // The build script unwraps, and unwrapping shows this form.
    impl fmt::Debug for Error {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(self, formatter)
        }
    }

    impl std::error::Error for Error {}

    /// The error type of a write callback; never made here.
    #[derive(Debug)]
    pub struct WriteError;

    /// A request that always fails.
    #[derive(Debug, Default)]
    pub struct Easy;

    impl Easy {
        /// A new request. This alone does nothing, so it succeeds, as the real one does.
        pub fn new() -> Self {
            Self
        }

        /// Fails: downloads are switched off.
        pub fn url(&mut self, _url: &str) -> Result<(), Error> {
            Err(Error)
        }

        /// Fails: downloads are switched off.
        pub fn write_function<F>(&mut self, _callback: F) -> Result<(), Error>
        where
            F: FnMut(&[u8]) -> Result<usize, WriteError> + Send + 'static,
        {
            Err(Error)
        }

        /// Fails: downloads are switched off.
        pub fn perform(&self) -> Result<(), Error> {
            Err(Error)
        }

        /// Fails: downloads are switched off.
        pub fn response_code(&mut self) -> Result<u32, Error> {
            Err(Error)
        }
    }
}
