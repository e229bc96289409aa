//! The whole suite again as a user without rights, who may lock 8 MiB: the usual limit.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Set in the child, which must not start children of its own.
const CHILD: &str = "ATTENTIONSTORE_TEST_UNPRIVILEGED";

/// `nobody` on every Linux.
const NOBODY: u32 = 65534;

const LOCKED_BYTES: u64 = 8 << 20;

/// Whether this process is that user's run.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[test]
fn the_whole_contract_holds_for_an_unprivileged_user_who_may_lock_8_mib() {
    if is_child() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = copy_where_everyone_may_run_it(directory.path());
    let mut command = Command::new(&program);
    // Two at a time: the benches' regions count against one limit.
    command.args(["--test-threads=2", "--show-output"]).env(CHILD, "1").env("TMPDIR", directory.path());
    command.current_dir(directory.path());
    if rustix::process::geteuid().is_root() {
        chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    // SAFETY: between fork and exec only a system call is made.
    unsafe { command.pre_exec(limit_locked_memory) };
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: no child of another user can be started here: {error}");
            return;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("test pread_pool::what_was_written_is_read_back ... ok"), "{text}");
    let fallback = text.lines().find(|line| line.starts_with("fell back: "));
    println!("{}", fallback.expect("the test of the fallback ran in the child"));
}

fn copy_where_everyone_may_run_it(directory: &Path) -> std::path::PathBuf {
    let program = directory.join("contract");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, executable.clone()).unwrap();
    std::fs::set_permissions(directory, executable).unwrap();
    program
}

fn limit_locked_memory() -> std::io::Result<()> {
    let allowed = getrlimit(Resource::Memlock).maximum.map_or(LOCKED_BYTES, |bytes| bytes.min(LOCKED_BYTES));
    setrlimit(Resource::Memlock, Rlimit { current: Some(allowed), maximum: Some(allowed) })?;
    Ok(())
}
