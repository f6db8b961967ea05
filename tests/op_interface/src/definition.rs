//! The definition of the op, as TensorFlow has it once the library is loaded.

use crate::op_def::{self, OpDef};
use crate::{assert_snapshot, load_library};

/// The one op of the library.
fn op() -> OpDef {
    let ops = op_def::decode(load_library().op_list()).unwrap();
    let [op] = <[OpDef; 1]>::try_from(ops).expect("the library registers one op");
    op
}

#[test]
fn the_definition() {
    assert_snapshot("definition", &op().signature());
}

#[test]
fn the_documentation() {
    assert_snapshot("documentation", &op().documentation());
}
