//! Where the parts of an answer begin and end.

use crate::body::Form;
use crate::symbol::Marker;

/// Where a body begins.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub marker: Marker,
    pub form: Form,
    /// Only where nothing but white space came before.
    pub at_start: bool,
    /// The last symbol of the marker is the first of the body.
    pub feeds: bool,
}

impl Opening {
    pub fn new(marker: Marker, form: Form) -> Self {
        Self { marker, form, at_start: false, feeds: false }
    }

    /// `bracket` begins a body at the start of the answer.
    pub fn at_start(bracket: char, form: Form) -> Self {
        let marker = Marker::new(&bracket.to_string(), &[]);
        Self { marker, form, at_start: true, feeds: true }
    }
}

/// The markers around reasoning.
#[derive(Clone, Debug)]
pub(crate) struct Reasoning {
    /// Text that begins it; where it is no token, only at the start of an answer.
    pub open: Marker,
    pub closes: Vec<Marker>,
}
