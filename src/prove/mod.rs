//! What makes an answer optimal, and not only likely to be.
//!
//! [`ladder`] says when an answer may stand, and what is done when it may not; [`bound`] how far it
//! can be from the optimum. [`group`] and [`narrow`] solve groups of instances that way. [`repair`]
//! makes duals in f64 from those of f32, [`repair_narrow`] does so for narrow instances, and
//! [`lift`] makes duals for a limit that counted as less than it is. [`certificate`] is the check
//! of a finished answer, which shares no code with all that.

pub mod bound;
pub mod certificate;
pub mod group;
pub mod ladder;
pub mod lift;
pub mod narrow;
pub mod repair;
pub mod repair_narrow;
