//! Serves a set-prediction model from Rust: what it sees on each canvas, and how the HungarianAssignment
//! op inside it matches the true objects with the predicted ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use hungarian_serving::{OpLibrary, SavedModel, Tensor, read_float32};

/// Center x, center y, width and height of an object, in fractions of the canvas.
const BOX_NUMBERS: usize = 4;
/// The digits an object can show.
const CLASSES: usize = 10;

/// Finds the digits on canvases with a SavedModel and the op library it needs, without Python.
#[derive(Parser)]
struct Arguments {
    /// The shared object with the op HungarianAssignment (_hungarian.so)
    #[arg(long)]
    library: PathBuf,
    /// The directory of the SavedModel, with signatures `predict` and `match`
    #[arg(long)]
    model: PathBuf,
    /// The canvases: a .npy file, float32 [canvases, height, width, 1]
    #[arg(long)]
    canvases: PathBuf,
    /// The true objects: a .npy file, float32 [canvases, objects, 14], four box numbers and a one-hot
    /// class each; all-zero rows fill up canvases with fewer objects
    #[arg(long)]
    objects: PathBuf,
}

fn main() -> ExitCode {
    match serve(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<()> {
    let canvases = read_float32(&arguments.canvases)?;
    let objects = read_float32(&arguments.objects)?;
    let library = OpLibrary::load(&arguments.library)?;
    let model = SavedModel::load(&arguments.model)?;

    println!("Ops from the library: {}", library.op_names().join(", "));
    print_signatures(&model);

    let outputs = model.run("predict", &[("canvases", &canvases)])?;
    let predictions = Predictions::new(output(&outputs, "boxes")?, output(&outputs, "classes")?)
        .context("signature `predict`")?;
    predictions.print();

    let outputs = model.run("match", &[("canvases", &canvases), ("objects", &objects)])?;
    let matches = Matches::new(
        &objects,
        output(&outputs, "row_to_col")?,
        output(&outputs, "cost")?,
        output(&outputs, "loss")?,
    )
    .context("signature `match`")?;
    matches.print(&predictions).context("signature `match`")
}

fn output<'a>(outputs: &'a BTreeMap<String, Tensor>, name: &str) -> Result<&'a Tensor> {
    outputs
        .get(name)
        .with_context(|| format!("the signature gives no output `{name}`"))
}

/// An error with got and expected unless `tensor` has the shape `expected`.
fn expect_shape(name: &str, tensor: &Tensor, expected: &[usize]) -> Result<()> {
    let got = tensor.shape();
    ensure!(
        got == expected,
        "`{name}` got shape {got:?}, expected {expected:?}"
    );
    Ok(())
}

fn print_signatures(model: &SavedModel) {
    println!("Signatures of the model:");
    for (name, signature) in model.signatures() {
        println!("  {name}");
        for (input, spec) in &signature.inputs {
            println!("    takes {input}: {spec}");
        }
        for (output, spec) in &signature.outputs {
            println!("    gives {output}: {spec}");
        }
    }
}

/// The largest of some class scores: which, and how large. The first of equal ones.
fn best_class(scores: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (class, score);
        }
    }
    best
}

/// One predicted object.
struct Prediction<'a> {
    class: usize,
    probability: f32,
    bounds: &'a [f32],
}

/// The predicted objects of every canvas.
struct Predictions<'a> {
    canvases: usize,
    per_canvas: usize,
    boxes: &'a [f32],
    classes: &'a [f32],
}

impl<'a> Predictions<'a> {
    /// From `boxes` [canvases, predictions, 4] and `classes` [canvases, predictions, 10].
    fn new(boxes: &'a Tensor, classes: &'a Tensor) -> Result<Self> {
        let &[canvases, per_canvas, _] = boxes.shape() else {
            let got = boxes.shape();
            bail!("`boxes` got shape {got:?}, expected [canvases, predictions, 4]");
        };
        expect_shape("boxes", boxes, &[canvases, per_canvas, BOX_NUMBERS])?;
        expect_shape("classes", classes, &[canvases, per_canvas, CLASSES])?;
        Ok(Self {
            canvases,
            per_canvas,
            boxes: boxes.as_float32()?,
            classes: classes.as_float32()?,
        })
    }

    fn get(&self, canvas: usize, index: usize) -> Prediction<'a> {
        let row = canvas * self.per_canvas + index;
        let (class, probability) = best_class(&self.classes[row * CLASSES..][..CLASSES]);
        Prediction {
            class,
            probability,
            bounds: &self.boxes[row * BOX_NUMBERS..][..BOX_NUMBERS],
        }
    }

    fn print(&self) {
        for canvas in 0..self.canvases {
            println!();
            println!("Canvas {canvas}: predicted objects");
            println!("  prediction  digit  probability  center x  center y  width  height");
            for index in 0..self.per_canvas {
                let Prediction {
                    class,
                    probability,
                    bounds,
                } = self.get(canvas, index);
                println!(
                    "  {index:>10}  {class:>5}  {probability:>11.3}  {:>8.3}  {:>8.3}  {:>5.3}  {:>6.3}",
                    bounds[0], bounds[1], bounds[2], bounds[3],
                );
            }
        }
    }
}

/// The true objects of every canvas and what the op matched them with.
struct Matches<'a> {
    canvases: usize,
    per_canvas: usize,
    objects: &'a [f32],
    row_to_col: &'a [i32],
    costs: &'a [f32],
    losses: &'a [f32],
}

impl<'a> Matches<'a> {
    /// From `objects` [canvases, objects, 14], `row_to_col` and `cost` [canvases, objects] and `loss`
    /// [canvases].
    fn new(
        objects: &'a Tensor,
        row_to_col: &'a Tensor,
        cost: &'a Tensor,
        loss: &'a Tensor,
    ) -> Result<Self> {
        let &[canvases, per_canvas, _] = objects.shape() else {
            let got = objects.shape();
            bail!("`objects` got shape {got:?}, expected [canvases, objects, 14]");
        };
        expect_shape(
            "objects",
            objects,
            &[canvases, per_canvas, BOX_NUMBERS + CLASSES],
        )?;
        expect_shape("row_to_col", row_to_col, &[canvases, per_canvas])?;
        expect_shape("cost", cost, &[canvases, per_canvas])?;
        expect_shape("loss", loss, &[canvases])?;
        Ok(Self {
            canvases,
            per_canvas,
            objects: objects.as_float32()?,
            row_to_col: row_to_col.as_int32()?,
            costs: cost.as_float32()?,
            losses: loss.as_float32()?,
        })
    }

    fn print(&self, predictions: &Predictions<'_>) -> Result<()> {
        ensure!(
            predictions.canvases == self.canvases,
            "got objects of {} canvases, expected {}",
            self.canvases,
            predictions.canvases
        );
        for canvas in 0..self.canvases {
            println!();
            println!(
                "Canvas {canvas}: true objects and their matches, loss {:.4}",
                self.losses[canvas]
            );
            println!(
                "  object  digit  center x  center y     prediction  digit  probability    cost"
            );
            for object in 0..self.per_canvas {
                self.print_object(canvas, object, predictions)?;
            }
        }
        Ok(())
    }

    fn print_object(
        &self,
        canvas: usize,
        object: usize,
        predictions: &Predictions<'_>,
    ) -> Result<()> {
        const NUMBERS: usize = BOX_NUMBERS + CLASSES;
        let row = canvas * self.per_canvas + object;
        let numbers = &self.objects[row * NUMBERS..][..NUMBERS];
        if numbers.iter().all(|&number| number == 0.0) {
            return Ok(());
        }
        let (class, _) = best_class(&numbers[BOX_NUMBERS..]);
        print!(
            "  {object:>6}  {class:>5}  {:>8.3}  {:>8.3}  -> ",
            numbers[0], numbers[1]
        );
        let matched = self.row_to_col[row];
        if matched == -1 {
            println!("unmatched");
            return Ok(());
        }
        let index = usize::try_from(matched)
            .ok()
            .filter(|&index| index < predictions.per_canvas);
        let index = index.with_context(|| {
            let last = predictions.per_canvas;
            format!("`row_to_col` got {matched}, expected -1 or a prediction below {last}")
        })?;
        let Prediction {
            class, probability, ..
        } = predictions.get(canvas, index);
        let cost = self.costs[row];
        println!("{index:>10}  {class:>5}  {probability:>11.3}  {cost:>6.4}");
        Ok(())
    }
}
