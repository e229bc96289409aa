//! The device at run time: a context, streams, events, memory, copies, loaded machine code.

mod copy;
mod device;
mod event;
mod host;
mod memory;
mod module;
mod stream;

pub use copy::{MemoryCopy, copy_batch, copy_each};
pub use device::Device;
pub use event::Event;
pub use host::HostRegistration;
pub use memory::{DeviceBuffer, DevicePointer};
pub use module::{Arguments, Function, Grid, Module};
pub use stream::{Stream, Streams};
