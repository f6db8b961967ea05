//! What the command line asks for.

use std::ffi::OsString;
use std::time::Duration;

/// What `--help` prints.
pub const USAGE: &str = "\
gpu-check: is every CUDA kernel right on this GPU, and how fast is it? Needs NVIDIA's driver and nothing else.

Usage: gpu-check [OPTION ...]

  --time-first        take the times before the checks
  --quick             check some 40 problems only, which launch every kernel
  --case TEXT         only cases whose name contains TEXT, such as 'check ' or 'time f32 208 x 300 x 300'
  --after NAME        only cases behind the one of that name, to go on where an earlier run ended
  --runs N            time each batch N times (25)
  --uninitialized     leave outputs and workspace as they are allocated, for compute-sanitizer's initcheck
  --patience SECONDS  end the program where the GPU takes longer for a case (60; no limit for the stand-in)
  --help              print this

Each case is named before it is launched. Exits with 0 if all is right, 1 if not, 2 if the command line is not understood or
names no case, 77 if there is no GPU to look at.
";

/// The command line.
#[derive(Debug)]
pub struct Options {
    /// Times before checks.
    pub time_first: bool,
    /// A small part of the checks.
    pub quick: bool,
    /// What the names of cases must contain.
    pub case: Option<String>,
    /// The case behind which to begin.
    pub after: Option<String>,
    /// How often a batch is timed, if that is said.
    pub runs: Option<usize>,
    /// Outputs and workspace are not filled before a launch.
    pub uninitialized: bool,
    /// How long the GPU may take for a case, if that is said.
    pub patience: Option<Duration>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Request {
    /// Checks and times.
    Run(Options),
    /// Prints [`USAGE`].
    Help,
}

impl Options {
    /// Reads a command line, without the program's name.
    ///
    /// # Errors
    ///
    /// A sentence about what is not understood.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, String> {
        let mut options = Options {
            time_first: false,
            quick: false,
            case: None,
            after: None,
            runs: None,
            uninitialized: false,
            patience: None,
        };
        let mut arguments = arguments.map(|argument| {
            let text = argument.into_string();
            text.map_err(|argument| format!("not UTF-8: {}", argument.display()))
        });
        while let Some(argument) = arguments.next().transpose()? {
            let mut value = || match arguments.next() {
                Some(value) => value,
                None => Err(format!("{argument} needs a value")),
            };
            match argument.as_str() {
                "--time-first" => options.time_first = true,
                "--quick" => options.quick = true,
                "--case" => options.case = Some(value()?),
                "--after" => options.after = Some(value()?),
                "--runs" => options.runs = Some(positive(&argument, &value()?)? as usize),
                "--uninitialized" => options.uninitialized = true,
                "--patience" => {
                    let seconds = positive(&argument, &value()?)?;
                    options.patience = Some(Duration::from_secs(seconds.into()));
                }
                "--help" => return Ok(Request::Help),
                _ => return Err(format!("unknown option {argument}")),
            }
        }
        Ok(Request::Run(options))
    }

    /// Is no case left out by its name?
    pub fn takes_all(&self) -> bool {
        self.case.is_none() && self.after.is_none()
    }
}

fn positive(option: &str, value: &str) -> Result<u32, String> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!(
            "{option} needs a whole number above 0, got {value}"
        )),
    }
}
