//! Waiting for masks, only as long as nothing else does.

use std::time::{Duration, Instant};

use attentionstore_model::backend::Stream;

use crate::constraint::Readiness;
use crate::plan::PlanRow;
use crate::worker::Worker;

/// How long a step waits for a mask where nothing else is in it.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often transfers that arrived meanwhile are started, and a running device is asked whether it is done.
const LOOK_AGAIN: Duration = Duration::from_micros(500);

impl Worker {
    /// A plan of nothing but rows whose masks are late waits for one of them.
    pub(crate) fn wait_for_late_masks(&mut self, rows: &[PlanRow]) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let late = self.late_alone(rows);
            if late.is_empty() {
                return;
            }
            self.wait_for_a_mask(&late);
            self.take_transfers();
        }
    }

    /// Sequences whose masks are late, where nothing else of these rows can be computed.
    fn late_alone(&mut self, rows: &[PlanRow]) -> Vec<u32> {
        let mut late = Vec::new();
        for row in rows {
            let Some(sequence) = self.sequences.get_mut(&row.sequence) else { continue };
            if sequence.finished() || sequence.is_void() || sequence.misses_token(row) {
                continue;
            }
            if !row.sample || !sequence.is_late() || sequence.readiness() != Readiness::Late {
                return Vec::new();
            }
            late.push(row.sequence);
        }
        late
    }

    /// The masks of rows that are to be sampled, of `computed` rows in the step. Those that are not ready when the device is
    /// done are late, unless nothing else is in the step.
    pub(crate) fn masks_for(&mut self, sampling: &[&PlanRow], computed: usize) -> Vec<Readiness> {
        let mut readiness = self.readiness_of(sampling);
        if !readiness.contains(&Readiness::Late) {
            return readiness;
        }
        let end = self.backend.record(Stream::Compute);
        let is_alone = computed == readiness.iter().filter(|ready| **ready == Readiness::Late).count();
        let until = Instant::now() + PATIENCE;
        while readiness.contains(&Readiness::Late)
            && (!self.backend.is_done(end) || (is_alone && Instant::now() < until))
        {
            let late = sampling.iter().zip(&readiness).filter(|(_, ready)| **ready == Readiness::Late);
            let late: Vec<u32> = late.map(|(row, _)| row.sequence).collect();
            self.wait_for_a_mask(&late);
            self.take_transfers();
            readiness = self.readiness_of(sampling);
            if is_alone && self.backend.is_done(end) && readiness.contains(&Readiness::Ready) {
                break;
            }
        }
        readiness
    }

    fn readiness_of(&mut self, sampling: &[&PlanRow]) -> Vec<Readiness> {
        let readiness = |row: &&PlanRow| {
            self.sequences.get_mut(&row.sequence).map_or(Readiness::Ready, |sequence| sequence.readiness())
        };
        sampling.iter().map(readiness).collect()
    }

    fn wait_for_a_mask(&mut self, late: &[u32]) {
        let sequences = &mut self.sequences;
        self.makers.wait(LOOK_AGAIN, || {
            let mut late = late.iter().filter_map(|number| sequences.get_mut(number).map(|s| s.readiness()));
            late.any(|readiness| readiness != Readiness::Late)
        });
    }
}
