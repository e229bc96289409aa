//! Which CUDA devices there are, or the sentence that says why there are none.

use cudarc::driver::DriverError;
use cudarc::driver::result;
use cudarc::driver::sys;

/// One device of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaDevice {
    /// Number as `--device cuda:n` names it.
    pub ordinal: usize,
    pub name: String,
    pub memory_bytes: usize,
    /// Compute capability, e.g. `(9, 0)`.
    pub capability: (i32, i32),
}

/// Why CUDA cannot be used here.
#[derive(Debug, thiserror::Error)]
pub enum CudaUnavailable {
    #[error("no CUDA driver (libcuda) on this machine")]
    NoDriver,
    #[error("the CUDA driver is too old: {0}")]
    OldDriver(String),
    #[error("the CUDA driver refuses: {0}")]
    Driver(#[from] DriverError),
    #[error("the CUDA driver sees no device")]
    NoDevice,
}

/// Lists the devices, without making a context on any.
///
/// # Errors
/// No driver, one that lacks what is called here, one that refuses, or no device.
pub fn detect() -> Result<Vec<CudaDevice>, CudaUnavailable> {
    // SAFETY: only tries to open the library.
    if !unsafe { sys::is_culib_present() } {
        return Err(CudaUnavailable::NoDriver);
    }
    // A symbol that an older driver lacks panics at its first use: that is an answer here, not a crash.
    std::panic::catch_unwind(list_devices)
        .unwrap_or_else(|_| Err(CudaUnavailable::OldDriver("a function is missing in it".to_owned())))
}

fn list_devices() -> Result<Vec<CudaDevice>, CudaUnavailable> {
    result::init()?;
    let count = result::device::get_count()?;
    let devices = (0..count).map(describe).collect::<Result<Vec<_>, DriverError>>()?;
    if devices.is_empty() { Err(CudaUnavailable::NoDevice) } else { Ok(devices) }
}

pub(crate) fn describe(ordinal: i32) -> Result<CudaDevice, DriverError> {
    use sys::CUdevice_attribute_enum as Attribute;
    let device = result::device::get(ordinal)?;
    // SAFETY: `device` was just given by the driver.
    let (memory_bytes, major, minor) = unsafe {
        (
            result::device::total_mem(device)?,
            result::device::get_attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            result::device::get_attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        )
    };
    Ok(CudaDevice {
        ordinal: ordinal as usize,
        name: result::device::get_name(device)?,
        memory_bytes,
        capability: (major, minor),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detection_answers_with_devices_or_a_sentence_and_never_panics() {
        match detect() {
            Ok(devices) => assert!(devices.iter().all(|device| device.memory_bytes > 0)),
            Err(reason) => assert!(!reason.to_string().is_empty()),
        }
    }
}
