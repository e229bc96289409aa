//! The CUDA devices of this machine.

use napi_derive::napi;

#[napi(object, object_from_js = false)]
pub struct BindingDevice {
    pub ordinal: u32,
    pub name: String,
    /// Exact as a double up to 8 PiB.
    pub memory_bytes: f64,
}

#[napi(object, object_from_js = false)]
pub struct BindingCuda {
    pub devices: Vec<BindingDevice>,
    /// Why there are none.
    pub reason: Option<String>,
}

#[napi(catch_unwind)]
pub fn detect_cuda() -> BindingCuda {
    match attentionstore_cuda::detect() {
        Ok(devices) => BindingCuda {
            devices: devices
                .into_iter()
                .map(|device| BindingDevice {
                    ordinal: device.ordinal as u32,
                    name: device.name,
                    memory_bytes: device.memory_bytes as f64,
                })
                .collect(),
            reason: None,
        },
        Err(reason) => BindingCuda { devices: Vec::new(), reason: Some(reason.to_string()) },
    }
}
