//! What threads of the engine meet at. The feature `shuttle` puts a model checker's scheduler behind the same names, so
//! that `protocol_model.rs` runs the code that ships.

#[cfg(not(feature = "shuttle"))]
pub use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(feature = "shuttle")]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard};
