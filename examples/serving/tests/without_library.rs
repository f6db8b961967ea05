//! A model whose ops are not loaded. In a program of its own, because ops stay registered for as long as a
//! process lives.

use std::env;

use hungarian_serving::SavedModel;

#[test]
fn a_model_without_its_op_library_is_an_error_that_names_the_op() {
    let model = env::var_os("HUNGARIAN_SERVING_MODEL");
    let model =
        model.expect("HUNGARIAN_SERVING_MODEL is not set: run `make test`, which builds it");
    let Err(error) = SavedModel::load(model) else {
        panic!("the model was loaded, so it does not hold the op");
    };
    let text = format!("{error:#}");
    assert!(text.contains("HungarianAssignment"), "{text}");
}
