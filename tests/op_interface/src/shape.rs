//! Shapes of which parts may be open.

use std::fmt;

use anyhow::{Context, Result};

/// A shape; `None` when even the number of dimensions is open.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape(pub(crate) Option<Vec<i64>>);

/// TensorFlow's number for a dimension of any size.
const OPEN: i64 = -1;

impl Shape {
    /// The shape that `text` says: `[4, ?, 2^31-1]`, or `?` for any number of dimensions.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text == "?" {
            return Ok(Self(None));
        }
        let sizes = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let sizes = sizes.with_context(|| format!("got `{text}` as a shape"))?;
        let sizes = sizes.split_terminator(", ").map(parse_size);
        Ok(Self(Some(sizes.collect::<Result<_>>()?)))
    }

    /// The sizes, none of which may be open.
    pub(crate) fn sizes(&self) -> Result<Vec<usize>> {
        let sizes = self.0.iter().flatten().map(|&size| usize::try_from(size));
        let sizes = self.0.as_ref().map(|_| sizes.collect::<Result<_, _>>());
        sizes
            .with_context(|| format!("shape {self} is open"))?
            .with_context(|| format!("shape {self} is open in part"))
    }
}

fn parse_size(text: &str) -> Result<i64> {
    if text == "?" {
        return Ok(OPEN);
    }
    let (power, less) = match text.strip_suffix("-1") {
        Some(power) => (power, 1),
        None => (text, 0),
    };
    let size = match power.strip_prefix("2^") {
        Some(exponent) => 2_i64
            .checked_pow(exponent.parse()?)
            .with_context(|| format!("size {text} is too large"))?,
        None => power.parse()?,
    };
    Ok(size - less)
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(sizes) = &self.0 else {
            return formatter.write_str("?");
        };
        let size = |&size: &i64| match size {
            OPEN => "?".to_owned(),
            size => size.to_string(),
        };
        let sizes: Vec<String> = sizes.iter().map(size).collect();
        write!(formatter, "[{}]", sizes.join(", "))
    }
}

#[test]
fn shapes_are_read_as_written() {
    for (text, expected) in [
        ("?", None),
        ("[]", Some(vec![])),
        ("[3]", Some(vec![3])),
        ("[?, 0]", Some(vec![-1, 0])),
        ("[2^40, 2^31-1]", Some(vec![1 << 40, (1 << 31) - 1])),
    ] {
        assert_eq!(Shape::parse(text).unwrap(), Shape(expected));
    }
    assert_eq!(Shape::parse("[?, 4]").unwrap().to_string(), "[?, 4]");
    assert!(Shape::parse("3").is_err());
    assert!(Shape::parse("[?]").unwrap().sizes().is_err());
}
