//! What TensorFlow says to a call, as it stands in the snapshots.

use anyhow::Result;
use hungarian_serving::raw::Failure;

/// What TensorFlow itself appends to a sentence of the op's that it passes on, and all that
/// follows: the signature and input shapes when the shape function failed, the place in the graph
/// when the kernel did, and the allocator's name, which depends on the processor.
const APPENDED: [&str; 3] = [
    " for '{{node assignment}} = HungarianAssignment[",
    "\n\t [[{{node assignment}}]]",
    " on /job:localhost/replica:0/task:0/device:CPU:0 by allocator ",
];

/// "OK", or "CODE: sentence" without what TensorFlow appends to the sentence.
pub(crate) fn verdict<T>(result: &Result<T>) -> String {
    let Err(error) = result else {
        return "OK".to_owned();
    };
    let Some(Failure { code, message }) = error.downcast_ref() else {
        panic!("this is no error of TensorFlow: {error:#}");
    };
    let code = format!("{code:?}");
    let end = APPENDED.iter().filter_map(|part| message.find(part)).min();
    let sentence = &message[..end.unwrap_or(message.len())];
    format!("{}: {sentence}", code.trim_start_matches("TF_"))
}

/// What the shape function and the kernel say, on one line where they say the same.
pub(crate) fn verdicts<T, U>(shape_function: &Result<T>, kernel: &Result<U>) -> String {
    let (inferred, computed) = (verdict(shape_function), verdict(kernel));
    if inferred == computed {
        format!("    both: {inferred}\n")
    } else {
        format!("    shape function: {inferred}\n    kernel: {computed}\n")
    }
}
