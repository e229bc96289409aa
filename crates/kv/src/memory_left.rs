//! How much memory this process may still take: what the machine has left, and what its control groups allow.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that may still be taken, and the smallest bound that they are a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLeft {
    pub left: u64,
    pub limit: u64,
}

/// Where the system tells it. Only tests ask in another place.
pub struct MemoryProbe {
    /// `/proc`
    proc: PathBuf,
    /// `/sys/fs/cgroup`
    groups: PathBuf,
}

impl Default for MemoryProbe {
    fn default() -> Self {
        Self::under(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
    }
}

impl MemoryProbe {
    pub fn under(proc: &Path, groups: &Path) -> Self {
        Self { proc: proc.to_owned(), groups: groups.to_owned() }
    }

    /// The tightest of the machine's own figure and of the bounds of all control groups, this process' own and those above.
    /// Pages of files that a group has read count as left: the kernel gives them up first. `None`: the system tells none.
    pub fn read(&self) -> Option<MemoryLeft> {
        let bounds = self.machine().into_iter().chain(self.unified()).chain(self.legacy());
        bounds.min_by_key(|bound| bound.left)
    }

    fn machine(&self) -> Option<MemoryLeft> {
        let text = fs::read_to_string(self.proc.join("meminfo")).ok()?;
        let kibibytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        };
        Some(MemoryLeft { left: kibibytes("MemAvailable")?, limit: kibibytes("MemTotal")? })
    }

    /// Control groups of the second version.
    fn unified(&self) -> Vec<MemoryLeft> {
        let Some(own) = self.own_group("0::") else { return Vec::new() };
        self.with_those_above(&self.groups, &own)
            .filter_map(|group| {
                let limit = number(&group.join("memory.max"))?;
                let used = number(&group.join("memory.current"))?;
                Some(bound(limit, used, field(&group.join("memory.stat"), "inactive_file")))
            })
            .collect()
    }

    /// Control groups of the first version, of which the memory controller has a tree of its own.
    fn legacy(&self) -> Vec<MemoryLeft> {
        let Some(own) = self.own_group("memory:") else { return Vec::new() };
        self.with_those_above(&self.groups.join("memory"), &own)
            .filter_map(|group| {
                let limit = number(&group.join("memory.limit_in_bytes"))?;
                let used = number(&group.join("memory.usage_in_bytes"))?;
                Some(bound(limit, used, field(&group.join("memory.stat"), "total_inactive_file")))
            })
            .collect()
    }

    /// The path of this process' group in the tree that a line of `self/cgroup` names, without its leading slash.
    fn own_group(&self, tree: &str) -> Option<PathBuf> {
        let text = fs::read_to_string(self.proc.join("self/cgroup")).ok()?;
        let path = text.lines().find_map(|line| line.split_once(tree).map(|(_, path)| path))?;
        let inside = path.trim_start_matches('/');
        // Seen from inside a container, the groups of others begin with `..`.
        (!inside.split('/').any(|part| part == "..")).then(|| PathBuf::from(inside))
    }

    fn with_those_above<'a>(&self, root: &'a Path, own: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
        own.ancestors().map(|group| root.join(group))
    }
}

fn bound(limit: u64, used: u64, given_up_first: u64) -> MemoryLeft {
    MemoryLeft { left: limit.saturating_sub(used.saturating_sub(given_up_first)), limit }
}

/// `None` also for the word `max`: there is no bound.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn field(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    600 kB\n";

    struct System {
        root: tempfile::TempDir,
    }

    impl System {
        fn with(files: &[(&str, &str)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = root.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self { root }
        }

        fn left(&self) -> Option<MemoryLeft> {
            MemoryProbe::under(&self.root.path().join("proc"), &self.root.path().join("groups")).read()
        }
    }

    #[test]
    fn without_control_groups_it_is_what_the_machine_has_left() {
        let system = System::with(&[("proc/meminfo", MEMINFO), ("proc/self/cgroup", "0::/\n")]);
        assert_eq!(system.left(), Some(MemoryLeft { left: 600 << 10, limit: 1000 << 10 }));
        assert_eq!(System::with(&[]).left(), None);
    }

    #[test]
    fn figures_that_make_no_sense_are_none() {
        for available in ["x kB", "12", "18446744073709551615 kB"] {
            let meminfo = format!("MemTotal: 9 kB\nMemAvailable:   {available}\n");
            assert_eq!(System::with(&[("proc/meminfo", &meminfo)]).left(), None, "{available}");
        }
    }

    #[test]
    fn the_tightest_group_decides_also_one_above_and_pages_of_files_count_as_left() {
        let system = System::with(&[
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/a/b\n"),
            ("groups/a/b/memory.max", "max\n"),
            ("groups/a/b/memory.current", "1\n"),
            ("groups/a/memory.max", "200000\n"),
            ("groups/a/memory.current", "150000\n"),
            ("groups/a/memory.stat", "anon 100000\ninactive_file 20000\nfile 50000\n"),
        ]);
        assert_eq!(system.left(), Some(MemoryLeft { left: 70_000, limit: 200_000 }));
    }

    #[test]
    fn groups_of_the_first_version_are_read_where_their_controller_has_them() {
        let system = System::with(&[
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "11:cpu:/x\n4:memory:/box\n"),
            ("groups/memory/box/memory.limit_in_bytes", "5000\n"),
            ("groups/memory/box/memory.usage_in_bytes", "9000\n"),
            ("groups/memory/box/memory.stat", "total_inactive_file 500\n"),
        ]);
        assert_eq!(system.left(), Some(MemoryLeft { left: 0, limit: 5000 }));
    }

    #[test]
    fn this_system_tells_it() {
        let MemoryLeft { left, limit } = MemoryProbe::default().read().unwrap();
        assert!(left > 0 && left <= limit.max(left));
    }
}
