//! Serves a set-prediction model from Rust: how many nuclei it counts on each tile and where, and how the
//! HungarianAssignment op inside it matches the true ones with the predicted ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use hungarian_serving::{OpLibrary, SavedModel, Tensor, read_float32};

/// Center x, center y, width and height of an object, in fractions of the tile.
const BOX_NUMBERS: usize = 4;
/// A box and a label, which is negative where there is no object.
const OBJECT_NUMBERS: usize = BOX_NUMBERS + 1;

/// Finds and counts the nuclei on tiles of a micrograph with a SavedModel and the op library it needs, without
/// Python.
#[derive(Parser)]
struct Arguments {
    /// The shared object with the op HungarianAssignment (_hungarian.so)
    #[arg(long)]
    library: PathBuf,
    /// The directory of the SavedModel, with signatures `predict` and `match`
    #[arg(long)]
    model: PathBuf,
    /// The tiles: a .npy file, float32 [tiles, height, width, 1]
    #[arg(long)]
    tiles: PathBuf,
    /// The true objects: a .npy file, float32 [tiles, objects, 5], four box numbers and a label each; rows
    /// with a negative label fill up tiles with fewer objects
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
    let tiles = read_float32(&arguments.tiles)?;
    let objects = read_float32(&arguments.objects)?;
    let library = OpLibrary::load(&arguments.library)?;
    let model = SavedModel::load(&arguments.model)?;

    println!("Ops from the library: {}", library.op_names().join(", "));
    print_signatures(&model);

    let outputs = model.run("predict", &[("tiles", &tiles)])?;
    let predictions = Predictions::new(output(&outputs, "boxes")?, output(&outputs, "scores")?)
        .context("signature `predict`")?;
    predictions.print();

    let outputs = model.run("match", &[("tiles", &tiles), ("objects", &objects)])?;
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

/// The predicted objects of every tile.
struct Predictions<'a> {
    tiles: usize,
    per_tile: usize,
    boxes: &'a [f32],
    scores: &'a [f32],
}

impl<'a> Predictions<'a> {
    /// From `boxes` [tiles, predictions, 4] and `scores` [tiles, predictions].
    fn new(boxes: &'a Tensor, scores: &'a Tensor) -> Result<Self> {
        let &[tiles, per_tile, _] = boxes.shape() else {
            let got = boxes.shape();
            bail!("`boxes` got shape {got:?}, expected [tiles, predictions, 4]");
        };
        expect_shape("boxes", boxes, &[tiles, per_tile, BOX_NUMBERS])?;
        expect_shape("scores", scores, &[tiles, per_tile])?;
        Ok(Self {
            tiles,
            per_tile,
            boxes: boxes.as_float32()?,
            scores: scores.as_float32()?,
        })
    }

    fn scores(&self, tile: usize) -> &'a [f32] {
        &self.scores[tile * self.per_tile..][..self.per_tile]
    }

    fn bounds(&self, tile: usize, index: usize) -> &'a [f32] {
        &self.boxes[(tile * self.per_tile + index) * BOX_NUMBERS..][..BOX_NUMBERS]
    }

    fn print(&self) {
        for tile in 0..self.tiles {
            let scores = self.scores(tile);
            let count: f32 = scores.iter().sum();
            println!();
            println!(
                "Tile {tile}: {count:.1} nuclei, the sum of all scores; the most probable ones"
            );
            println!("  prediction  score  center x  center y  width  height");
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
            // As many as were counted. Saturates, and is 0 for NaN.
            for &index in order.iter().take(count.round() as usize) {
                let (score, bounds) = (scores[index], self.bounds(tile, index));
                println!(
                    "  {index:>10}  {score:>5.3}  {:>8.3}  {:>8.3}  {:>5.3}  {:>6.3}",
                    bounds[0], bounds[1], bounds[2], bounds[3],
                );
            }
        }
    }
}

/// The true objects of every tile and what the op matched them with.
struct Matches<'a> {
    tiles: usize,
    per_tile: usize,
    objects: &'a [f32],
    row_to_col: &'a [i32],
    costs: &'a [f32],
    losses: &'a [f32],
}

impl<'a> Matches<'a> {
    /// From `objects` [tiles, objects, 5], `row_to_col` and `cost` [tiles, objects] and `loss` [tiles].
    fn new(
        objects: &'a Tensor,
        row_to_col: &'a Tensor,
        cost: &'a Tensor,
        loss: &'a Tensor,
    ) -> Result<Self> {
        let &[tiles, per_tile, _] = objects.shape() else {
            let got = objects.shape();
            bail!("`objects` got shape {got:?}, expected [tiles, objects, 5]");
        };
        expect_shape("objects", objects, &[tiles, per_tile, OBJECT_NUMBERS])?;
        expect_shape("row_to_col", row_to_col, &[tiles, per_tile])?;
        expect_shape("cost", cost, &[tiles, per_tile])?;
        expect_shape("loss", loss, &[tiles])?;
        Ok(Self {
            tiles,
            per_tile,
            objects: objects.as_float32()?,
            row_to_col: row_to_col.as_int32()?,
            costs: cost.as_float32()?,
            losses: loss.as_float32()?,
        })
    }

    fn print(&self, predictions: &Predictions<'_>) -> Result<()> {
        ensure!(
            predictions.tiles == self.tiles,
            "got objects of {} tiles, expected {}",
            self.tiles,
            predictions.tiles
        );
        for tile in 0..self.tiles {
            println!();
            println!(
                "Tile {tile}: true nuclei and their matches, loss {:.4}",
                self.losses[tile]
            );
            println!("  object  center x  center y     prediction  score    cost");
            for object in 0..self.per_tile {
                self.print_object(tile, object, predictions)?;
            }
        }
        Ok(())
    }

    fn print_object(
        &self,
        tile: usize,
        object: usize,
        predictions: &Predictions<'_>,
    ) -> Result<()> {
        let row = tile * self.per_tile + object;
        let numbers = &self.objects[row * OBJECT_NUMBERS..][..OBJECT_NUMBERS];
        if numbers[BOX_NUMBERS] < 0.0 {
            return Ok(());
        }
        print!(
            "  {object:>6}  {:>8.3}  {:>8.3}  -> ",
            numbers[0], numbers[1]
        );
        let matched = self.row_to_col[row];
        if matched == -1 {
            println!("unmatched");
            return Ok(());
        }
        let index = usize::try_from(matched)
            .ok()
            .filter(|&index| index < predictions.per_tile);
        let index = index.with_context(|| {
            let last = predictions.per_tile;
            format!("`row_to_col` got {matched}, expected -1 or a prediction below {last}")
        })?;
        let (score, cost) = (predictions.scores(tile)[index], self.costs[row]);
        println!("{index:>10}  {score:>5.3}  {cost:>6.4}");
        Ok(())
    }
}
