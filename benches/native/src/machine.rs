//! The description of this machine, without names of hosts or places.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub cpu: String,
    pub processors: usize,
    pub memory_bytes: u64,
    /// The disk below the measured directory, as far as the kernel says.
    pub disk: String,
    pub devices: Vec<String>,
}

impl Machine {
    /// Looks at this machine, and at the disk under `directory`.
    pub fn look(directory: &Path) -> Self {
        let devices = attentionstore_cuda::detect().unwrap_or_default();
        Self {
            cpu: value_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned()),
            processors: thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes().unwrap_or(0),
            disk: disk_of(directory),
            devices: devices.into_iter().map(|device| device.name).collect(),
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "processors": self.processors,
            "memory_bytes": self.memory_bytes,
            "disk": self.disk,
            "devices": self.devices,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory_bytes as f64 / f64::from(1u32 << 30);
        write!(formatter, "{} × {}, {memory:.0} GiB, {}", self.processors, self.cpu, self.disk)?;
        self.devices.iter().try_for_each(|device| write!(formatter, ", {device}"))
    }
}

/// The first value of `key` in a file of `key: value` lines.
fn value_of(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

fn memory_bytes() -> Option<u64> {
    let total = value_of("/proc/meminfo", "MemTotal")?;
    total.strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// File system, kind and model of the disk under `directory`.
fn disk_of(directory: &Path) -> String {
    let Ok(metadata) = fs::metadata(directory) else { return "unknown disk".to_owned() };
    let (major, minor) = (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
    let number = format!("{major}:{minor}");
    let system = file_system(&number).unwrap_or_else(|| "unknown file system".to_owned());
    let block = Path::new("/sys/dev/block").join(number);
    // A partition's queue is its disk's.
    let disk = [block.clone(), block.join("..")].into_iter().find(|path| path.join("queue").is_dir());
    let Some(disk) = disk else { return format!("a disk that the kernel does not name, {system}") };
    let read = |file: &str| fs::read_to_string(disk.join(file)).ok().map(|text| text.trim().to_owned());
    let kind = match read("queue/rotational").as_deref() {
        Some("0") => "SSD",
        Some("1") => "disk that calls itself rotational",
        _ => "disk",
    };
    let model = read("device/model").map_or(String::new(), |model| format!("{model} "));
    format!("{model}{kind}, {system}")
}

/// The type of the file system with the device number `major:minor`.
fn file_system(number: &str) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some(number))?;
    Some(mount.split_once(" - ")?.1.split(' ').next()?.to_owned())
}
