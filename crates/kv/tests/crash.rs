//! Write, crash, reopen, compare with an oracle of what must and must not be there.

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use attentionstore_uring::Operation;
use attentionstore_uring::fault::Fault;
use proptest::prelude::*;
use support::{Bench, Block, slot_bytes};
use tempfile::tempdir;

const SLOTS: u32 = 6;

#[derive(Clone, Debug)]
enum Step {
    Write {
        slot: u32,
        valid: usize,
    },
    /// Only so many pages reach the disk, and success is reported.
    TornWrite {
        slot: u32,
        valid: usize,
        pages: usize,
    },
    FlippedWrite {
        slot: u32,
        bit: usize,
    },
    Flush,
    Reopen,
    /// From here to the next reopening nothing reaches the disk, though success is reported.
    PowerCut,
}

fn step() -> impl Strategy<Value = Step> {
    let pages = slot_bytes() as usize / 4096;
    prop_oneof![
        6 => (0..SLOTS, 1usize..=64).prop_map(|(slot, valid)| Step::Write { slot, valid }),
        2 => (0..SLOTS, 1usize..=64, 0..=pages)
            .prop_map(|(slot, valid, pages)| Step::TornWrite { slot, valid, pages }),
        1 => (0..SLOTS, any::<usize>()).prop_map(|(slot, bit)| Step::FlippedWrite { slot, bit }),
        1 => Just(Step::Flush),
        2 => Just(Step::Reopen),
        1 => Just(Step::PowerCut),
    ]
}

/// What really lies on the disk: for each slot the one block that is there whole, if any.
#[derive(Default)]
struct Oracle {
    whole: HashMap<u32, Block>,
    /// Everything that was ever written to a slot: each may be asked for again by a stale directory.
    written: Vec<(u32, Block)>,
    power_cut: bool,
}

impl Oracle {
    fn new_block(&mut self, slot: u32, valid: usize) -> Block {
        let block = Block { seed: self.written.len() as u64 + 1, valid };
        self.written.push((slot, block.clone()));
        block
    }

    fn took(&mut self, slot: u32, block: Block, outcome: Outcome) {
        match outcome {
            _ if self.power_cut => {}
            Outcome::Whole => drop(self.whole.insert(slot, block)),
            Outcome::Broken => drop(self.whole.remove(&slot)),
            Outcome::Nothing => {}
        }
    }

    /// Every block ever written is served if and only if it is the one that lies there.
    fn check(&self, bench: &Bench) -> Result<(), TestCaseError> {
        for (slot, block) in &self.written {
            let there = self.whole.get(slot) == Some(block);
            match bench.read(*slot, block) {
                Ok(()) => prop_assert!(there, "slot {slot} served {block:?}, which should not be there"),
                Err(error) => {
                    prop_assert!(!there, "slot {slot} lost {block:?}: {error}");
                    prop_assert_eq!(error.code(), "kv_damaged");
                }
            }
        }
        Ok(())
    }
}

enum Outcome {
    Whole,
    Broken,
    Nothing,
}

fn carry_out(step: Step, bench: &Bench, oracle: &mut Oracle) {
    match step {
        Step::Write { slot, valid } => {
            let block = oracle.new_block(slot, valid);
            bench.write(slot, &block).unwrap();
            oracle.took(slot, block, Outcome::Whole);
        }
        Step::TornWrite { slot, valid, pages } => {
            let block = oracle.new_block(slot, valid);
            bench.faults.inject(Operation::Write, Fault::Torn { bytes: pages * 4096 });
            bench.write(slot, &block).unwrap();
            let outcome = match pages * 4096 {
                0 => Outcome::Nothing,
                bytes if bytes as u64 == slot_bytes() => Outcome::Whole,
                _ => Outcome::Broken,
            };
            oracle.took(slot, block, outcome);
        }
        Step::FlippedWrite { slot, bit } => {
            let block = oracle.new_block(slot, 64);
            bench.faults.inject(Operation::Write, Fault::FlipBit { bit });
            bench.write(slot, &block).unwrap();
            oracle.took(slot, block, Outcome::Broken);
        }
        Step::Flush => bench.flush().unwrap(),
        Step::PowerCut => {
            bench.faults.cut_power();
            oracle.power_cut = true;
        }
        Step::Reopen => unreachable!("the caller reopens"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Closed in order, dropped, torn, or without power: after reopening, every block that reached the disk
    /// whole is served, and nothing else ever is.
    #[test]
    fn after_any_history_exactly_the_whole_blocks_are_served(
        steps in prop::collection::vec(step(), 1..30), close_in_order: bool
    ) {
        let directory = tempdir().unwrap();
        let mut oracle = Oracle::default();
        let mut bench = Bench::open(directory.path(), u64::from(SLOTS));
        for step in steps.into_iter().chain([Step::Reopen]) {
            if !matches!(step, Step::Reopen) {
                carry_out(step, &bench, &mut oracle);
                continue;
            }
            if close_in_order {
                bench.tier.close();
            }
            drop(bench);
            oracle.power_cut = false;
            bench = Bench::open(directory.path(), u64::from(SLOTS));
            oracle.check(&bench)?;
        }
    }
}

/// Where the child of the test below writes.
const CHILD: &str = "ATTENTIONSTORE_TEST_CRASH_DIRECTORY";

const CHILD_SLOTS: u64 = 64;

/// The block that the child writes as its `number`th, and its slot.
fn numbered(number: u64) -> (u32, Block) {
    ((number % CHILD_SLOTS) as u32, Block { seed: number + 1, valid: (number % 64 + 1) as usize })
}

#[test]
fn a_killed_process_loses_nothing_that_it_reported_and_serves_nothing_torn() {
    if let Some(directory) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&directory));
    }
    let directory = tempdir().unwrap();
    let name = "a_killed_process_loses_nothing_that_it_reported_and_serves_nothing_torn";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let written = lines.filter_map(|line| line.unwrap().strip_prefix("written ")?.parse::<u64>().ok());
    let last = written.take(200).last().expect("the child writes until it is killed");
    child.kill().unwrap();
    child.wait().unwrap();

    let bench = Bench::open(directory.path(), CHILD_SLOTS);
    // The next blocks may have reached the disk without a report, or in part: then they replace older ones.
    let unreported: Vec<_> = (last + 1..last + 1 + CHILD_SLOTS).map(numbered).collect();
    for number in last + 1 - CHILD_SLOTS..=last {
        let (slot, block) = numbered(number);
        if bench.read(slot, &block).is_err() {
            let replaced =
                unreported.iter().any(|(other, block)| *other == slot && is_newer_there(&bench, slot, block));
            assert!(replaced, "block {number} was reported and is gone");
        }
    }
}

/// Whether the slot's header names `block`: the child had begun to write it.
fn is_newer_there(bench: &Bench, slot: u32, block: &Block) -> bool {
    let file = bench.bytes();
    let start = u64::from(slot) * slot_bytes();
    file[start as usize..][..4096].windows(32).any(|window| window == block.key())
}

fn write_until_killed(directory: &Path) {
    let bench = Bench::open(directory, CHILD_SLOTS);
    for number in 0.. {
        let (slot, block) = numbered(number);
        bench.write(slot, &block).unwrap();
        println!("written {number}");
    }
}
