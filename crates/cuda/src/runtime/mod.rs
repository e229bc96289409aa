//! The device at run time: a context, streams, events, memory, copies, graphs, loaded machine code.

mod copy;
mod device;
mod event;
mod graph;
mod host;
mod memory;
mod module;
mod stream;
mod tensor;

pub use copy::{MemoryCopy, copy_batch, copy_each};
pub use device::Device;
pub use event::Event;
pub use graph::Graph;
pub use host::{HostRegistration, PinnedBuffer, REGISTERED_AT_ONCE};
pub use memory::{DeviceBuffer, DevicePointer, Plain, bytes_of, values_of};
pub use module::{Arguments, Function, Grid, Module};
pub use stream::{Stream, Streams};
pub use tensor::TensorMap;
