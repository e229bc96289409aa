//! Grammars that were compiled, for answers that are held to them.

use std::sync::Arc;

use attentionstore_engine::{Grammar, MaskSource, held_to};
use napi_derive::napi;

/// Opaque: what a source was compiled to.
#[napi]
pub struct BindingConstraint {
    grammar: Arc<Grammar>,
}

#[napi]
impl BindingConstraint {
    /// Bytes of memory, about.
    #[napi(getter)]
    pub fn bytes(&self) -> f64 {
        self.grammar.bytes() as f64
    }
}

impl BindingConstraint {
    pub fn new(grammar: Arc<Grammar>) -> Self {
        Self { grammar }
    }

    /// What holds one answer to it.
    pub fn source(&self) -> Box<dyn MaskSource> {
        held_to(&self.grammar)
    }
}
