//! Runs a SavedModel that holds the custom op, from Rust, through TensorFlow's C API.
//!
//! `make test` builds the op library and, with tests/make_model.py, the model, and says where they are in
//! two environment variables.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Result;
use hungarian_serving::{ElementType, OpLibrary, SavedModel, Tensor};
use npyz::WriterBuilder;

/// Numbers per object and objects per set, as in make_model.py.
const FEATURES: usize = 3;
const OBJECTS: usize = 5;

fn required(variable: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(value) => PathBuf::from(value),
        None => panic!("{variable} is not set: run `make test`, which builds what it names"),
    }
}

fn library_path() -> PathBuf {
    required("HUNGARIAN_OP_LIBRARY")
}

fn model_path() -> PathBuf {
    required("HUNGARIAN_SERVING_MODEL")
}

/// Each test calls this first, since tests run on many threads: see `OpLibrary::load`.
fn load_library() {
    let library = OpLibrary::load(library_path()).unwrap();
    assert_eq!(library.op_names(), ["HungarianAssignment"]);
}

fn load_model() -> SavedModel {
    load_library();
    SavedModel::load(model_path()).unwrap()
}

/// The text of the error that `result` must be, as the program prints it.
fn message<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("this must be an error"),
        Err(error) => format!("{error:#}"),
    }
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text:?} must contain {part:?}");
    }
}

/// Reproducible numbers (the SplitMix64 generator).
struct Random(u64);

impl Random {
    /// A number in -1..1.
    fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        (bits >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }
}

/// Euclidean distances of every row of `truth` to every row of `prediction`.
fn distances(truth: &[f32], prediction: &[f32]) -> Vec<Vec<f64>> {
    let distance = |a: &[f32], b: &[f32]| {
        let squares = a
            .iter()
            .zip(b)
            .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let row = |a| {
        prediction
            .chunks(FEATURES)
            .map(|b| distance(a, b))
            .collect()
    };
    truth.chunks(FEATURES).map(row).collect()
}

/// The least total cost over all ways to match min(rows, columns) pairs, by trying them all: each row from
/// `row` on takes a free column or, where there are more rows than columns, none.
fn brute_force(cost: &[Vec<f64>], row: usize, used: &mut Vec<bool>, rows_to_skip: usize) -> f64 {
    if row == cost.len() {
        return 0.0;
    }
    let mut best = f64::INFINITY;
    if rows_to_skip > 0 {
        best = brute_force(cost, row + 1, used, rows_to_skip - 1);
    }
    for column in 0..used.len() {
        if !used[column] {
            used[column] = true;
            let rest = brute_force(cost, row + 1, used, rows_to_skip);
            best = best.min(cost[row][column] + rest);
            used[column] = false;
        }
    }
    best
}

/// The cost of an assignment, after checking that it matches min(rows, columns) pairs, no column twice.
fn cost_of(assignment: &[i32], cost: &[Vec<f64>], columns: usize) -> f64 {
    let mut used = vec![false; columns];
    let mut total = 0.0;
    for (row, &column) in assignment.iter().enumerate() {
        if column == -1 {
            continue;
        }
        let column = usize::try_from(column).unwrap();
        assert!(
            !used[column],
            "column {column} is matched twice: {assignment:?}"
        );
        used[column] = true;
        total += cost[row][column];
    }
    let matched = used.iter().filter(|&&used| used).count();
    assert_eq!(matched, cost.len().min(columns), "{assignment:?}");
    total
}

#[test]
fn the_signatures_are_listed_with_types_and_shapes() {
    let model = load_model();
    let infer = &model.signatures()["infer"];
    let open = Some(vec![None, None, Some(FEATURES)]);
    assert_eq!(infer.inputs["y_true"].element_type, ElementType::Float32);
    assert_eq!(infer.inputs["y_true"].shape, open);
    assert_eq!(infer.inputs["y_pred"].to_string(), "float32 [?, ?, 3]");
    assert_eq!(infer.outputs["row_to_col"].element_type, ElementType::Int32);
    let names: Vec<&String> = model.signatures().keys().collect();
    assert_eq!(names, ["infer", "match", "predict", "train_step"]);
}

#[test]
fn infer_gives_the_optimum_that_brute_force_finds() {
    let model = load_model();
    let mut random = Random(7);
    let batch = 3;
    for (rows, columns) in [(1, 1), (2, 2), (3, 5), (5, 3), (6, 6), (1, 4), (4, 1)] {
        let truth = random.numbers(batch * rows * FEATURES);
        let prediction = random.numbers(batch * columns * FEATURES);
        let outputs = model
            .run(
                "infer",
                &[
                    (
                        "y_true",
                        &Tensor::new(&[batch, rows, FEATURES], truth.clone()).unwrap(),
                    ),
                    (
                        "y_pred",
                        &Tensor::new(&[batch, columns, FEATURES], prediction.clone()).unwrap(),
                    ),
                ],
            )
            .unwrap();
        assert_eq!(outputs["total_cost"].shape(), [batch]);
        assert_eq!(outputs["row_to_col"].shape(), [batch, rows]);
        let totals = outputs["total_cost"].as_float32().unwrap();
        let assignments = outputs["row_to_col"].as_int32().unwrap();
        for sample in 0..batch {
            let cost = distances(
                &truth[sample * rows * FEATURES..][..rows * FEATURES],
                &prediction[sample * columns * FEATURES..][..columns * FEATURES],
            );
            let to_skip = rows.saturating_sub(columns);
            let optimum = brute_force(&cost, 0, &mut vec![false; columns], to_skip);
            let found = cost_of(&assignments[sample * rows..][..rows], &cost, columns);
            // The model computes its distances in float32, this test in float64.
            let tolerance = 1e-5 * (1.0 + optimum);
            let place = format!("{rows} rows, {columns} columns, sample {sample}");
            assert!(
                (found - optimum).abs() < tolerance,
                "{place}: {found}, optimum {optimum}"
            );
            let total = f64::from(totals[sample]);
            assert!(
                (total - optimum).abs() < tolerance,
                "{place}: {total}, optimum {optimum}"
            );
        }
    }
}

#[test]
fn an_empty_batch_and_empty_sets_come_back_empty() {
    let model = load_model();
    for (batch, rows, columns) in [(0, 2, 3), (2, 0, 3), (2, 3, 0)] {
        let truth = Tensor::new(
            &[batch, rows, FEATURES],
            vec![0.5_f32; batch * rows * FEATURES],
        );
        let prediction = Tensor::new(
            &[batch, columns, FEATURES],
            vec![0.5_f32; batch * columns * FEATURES],
        );
        let outputs = model
            .run(
                "infer",
                &[
                    ("y_true", &truth.unwrap()),
                    ("y_pred", &prediction.unwrap()),
                ],
            )
            .unwrap();
        assert_eq!(
            outputs["total_cost"],
            Tensor::new(&[batch], vec![0.0_f32; batch]).unwrap()
        );
        let unmatched = vec![-1_i32; batch * rows];
        assert_eq!(
            outputs["row_to_col"],
            Tensor::new(&[batch, rows], unmatched).unwrap()
        );
    }
}

/// Sets for the model to learn, and the same sets in the opposite order as the target: the matching has to
/// find out which is which.
fn training_data(batch: usize) -> (Tensor, Tensor) {
    let mut random = Random(11);
    let x = random.numbers(batch * OBJECTS * FEATURES);
    let reversed: Vec<f32> = x
        .chunks(OBJECTS * FEATURES)
        .flat_map(|set| set.chunks(FEATURES).rev().flatten().copied())
        .collect();
    let shape = [batch, OBJECTS, FEATURES];
    (
        Tensor::new(&shape, x).unwrap(),
        Tensor::new(&shape, reversed).unwrap(),
    )
}

fn train(model: &SavedModel, steps: usize) -> Vec<f32> {
    let (x, y_true) = training_data(16);
    let step = |_| {
        let outputs = model
            .run("train_step", &[("x", &x), ("y_true", &y_true)])
            .unwrap();
        assert!(outputs["loss"].shape().is_empty());
        outputs["loss"].as_float32().unwrap()[0]
    };
    (0..steps).map(step).collect()
}

#[test]
fn fifty_training_steps_lower_the_loss() {
    let model = load_model();
    let losses = train(&model, 50);
    let (first, last) = (losses[0], losses[49]);
    assert!(last < 0.2 * first, "the loss went from {first} to {last}");
}

#[test]
fn each_loaded_model_has_variables_of_its_own() {
    let trained = load_model();
    let fresh = load_model();
    let first = train(&trained, 5)[0];
    assert_eq!(train(&fresh, 1)[0], first);
}

#[test]
fn wrong_inputs_are_errors_that_say_what_is_expected() {
    let model = load_model();
    let good = Tensor::new(&[1, 2, FEATURES], vec![0.0_f32; 6]).unwrap();

    let missing = message(model.run("infer", &[("y_true", &good)]));
    assert_contains(
        &missing,
        &[
            "signature `infer`",
            "input `y_pred` (float32 [?, ?, 3]) was not given",
        ],
    );

    let unknown = message(model.run("infer", &[("y_true", &good), ("labels", &good)]));
    assert_contains(
        &unknown,
        &["no input `labels`", "its inputs are `y_pred`, `y_true`"],
    );

    let twice = message(model.run("infer", &[("y_true", &good), ("y_true", &good)]));
    assert_contains(&twice, &["input `y_true` was given twice"]);

    let wide = Tensor::new(&[1, 2, FEATURES], vec![0.0_f64; 6]).unwrap();
    let dtype = message(model.run("infer", &[("y_true", &wide), ("y_pred", &good)]));
    assert_contains(&dtype, &["input `y_true`: got float64, expected float32"]);

    let flat = Tensor::new(&[2, FEATURES], vec![0.0_f32; 6]).unwrap();
    let shape = message(model.run("infer", &[("y_true", &flat), ("y_pred", &good)]));
    assert_contains(
        &shape,
        &["input `y_true`: got shape [2, 3], expected [?, ?, 3]"],
    );

    let signature = message(model.run("serving", &[]));
    assert_contains(
        &signature,
        &["no signature `serving`", "`infer`", "`train_step`"],
    );
}

#[test]
fn an_error_inside_the_graph_is_one_line() {
    let model = load_model();
    // The signature leaves the batch open, so only the graph notices that the two differ.
    let two = Tensor::new(&[2, 2, FEATURES], vec![0.0_f32; 12]).unwrap();
    let three = Tensor::new(&[3, 2, FEATURES], vec![0.0_f32; 18]).unwrap();
    let text = message(model.run("infer", &[("y_true", &two), ("y_pred", &three)]));
    assert_contains(
        &text,
        &["could not run signature `infer`", "TensorFlow reports"],
    );
    assert!(!text.contains('\n'), "{text:?}");
}

#[test]
fn a_library_or_model_that_cannot_be_loaded_is_an_error() {
    load_library();
    let missing = message(OpLibrary::load("no_such_directory/_hungarian.so"));
    assert_contains(
        &missing,
        &["there is no op library at no_such_directory/_hungarian.so"],
    );

    let not_a_library = message(OpLibrary::load("Cargo.toml"));
    assert_contains(
        &not_a_library,
        &["could not load the op library Cargo.toml"],
    );

    let model = message(SavedModel::load("no_such_model"));
    assert_contains(
        &model,
        &[
            "could not load the SavedModel in no_such_model",
            "TensorFlow reports",
        ],
    );
}

/// Writes float32 values as a .npy file for the program.
fn write_array(name: &str, shape: &[u64], values: &[f32]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(directory).unwrap();
    let path = directory.join(name);
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(BufWriter::new(File::create(&path).unwrap()))
        .begin_nd()
        .unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    path
}

fn serve(arguments: &BTreeMap<&str, PathBuf>) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_serve"));
    for (name, value) in arguments {
        program.arg(name).arg(value);
    }
    program.output().unwrap()
}

/// One object as the program reads it: the box and the label.
fn object(center_x: f32, label: f32) -> [f32; 5] {
    [center_x, 0.5, 0.1, 0.2, label]
}

#[test]
fn the_program_prints_predictions_and_matches() {
    // Of what the model sees three are probable, from left to right; the second tile has one object less.
    let objects = [
        object(0.75, 0.0),
        object(0.2, 0.0),
        object(0.5, 0.0),
        object(0.5, -1.0),
    ]
    .concat();
    let arguments = BTreeMap::from([
        ("--library", library_path()),
        ("--model", model_path()),
        (
            "--tiles",
            write_array("tiles.npy", &[2, 8, 8, 1], &[0.0; 128]),
        ),
        (
            "--objects",
            write_array("objects.npy", &[2, 2, 5], &objects),
        ),
    ]);
    let output = serve(&arguments);
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}");
    assert_contains(
        &text,
        &["HungarianAssignment", "takes tiles: float32 [?, 8, 8, 1]"],
    );
    // The signatures take up the top; the tables are what the two tiles give.
    let tables: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("Tile"))
        .collect();
    let expected = "\
Tile 0: 3.0 nuclei, the sum of all scores; the most probable ones
  prediction  score  center x  center y  width  height
           1  1.000     0.500     0.500  0.100   0.200
           2  0.950     0.800     0.500  0.100   0.200
           0  0.900     0.200     0.500  0.100   0.200

Tile 1: 3.0 nuclei, the sum of all scores; the most probable ones
  prediction  score  center x  center y  width  height
           1  1.000     0.500     0.500  0.100   0.200
           2  0.950     0.800     0.500  0.100   0.200
           0  0.900     0.200     0.500  0.100   0.200

Tile 0: true nuclei and their matches, loss 0.0500
  object  center x  center y     prediction  score    cost
       0     0.750     0.500  ->          2  0.950  0.0500
       1     0.200     0.500  ->          0  0.900  0.0000

Tile 1: true nuclei and their matches, loss 0.0000
  object  center x  center y     prediction  score    cost
       0     0.500     0.500  ->          1  1.000  0.0000";
    assert_eq!(tables.join("\n"), expected);
}

#[test]
fn the_program_fails_with_one_sentence() {
    let tiles = write_array("one_tile.npy", &[1, 8, 8, 1], &[0.0; 64]);
    let objects = write_array("one_object.npy", &[1, 1, 5], &object(0.5, 0.0));
    let good = BTreeMap::from([
        ("--library", library_path()),
        ("--model", model_path()),
        ("--tiles", tiles.clone()),
        ("--objects", objects),
    ]);
    for (argument, value, expected) in [
        (
            "--library",
            PathBuf::from("missing.so"),
            "serve: there is no op library at missing.so",
        ),
        (
            "--model",
            PathBuf::from("missing"),
            "serve: could not load the SavedModel in missing",
        ),
        (
            "--tiles",
            PathBuf::from("missing.npy"),
            "serve: could not read the array in missing.npy",
        ),
        (
            "--objects",
            tiles,
            "input `objects`: got shape [1, 8, 8, 1], expected [?, ?, 5]",
        ),
    ] {
        let mut arguments = good.clone();
        arguments.insert(argument, value);
        let output = serve(&arguments);
        assert!(!output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr);
        // TensorFlow may log lines of its own before it.
        assert_contains(errors.lines().last().unwrap(), &[expected]);
    }
}
