//! The engine's packed words, as far as measurements need them: plans and transfers in, ends of both out.

use attentionstore_engine::plan::{StepPlan, Transfer, TransferKind};
use attentionstore_engine::wire::TRANSFER_WORDS;

/// An event of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// All rows of the step were computed, unless `whole` says otherwise.
    Step {
        step: u32,
        whole: bool,
    },
    Transfer {
        id: u32,
        error: String,
    },
    Failed {
        message: String,
    },
}

/// Packs a plan as `attentionstore_engine::wire::decode_plan` reads it.
pub fn plan_words(plan: &StepPlan) -> Vec<u32> {
    let counts = [plan.resets.len(), plan.tables.len(), plan.rows.len(), plan.saves.len()];
    let mut words = vec![plan.step];
    words.extend(counts.map(|count| count as u32));
    words.extend(&plan.resets);
    plan.tables.iter().for_each(|table| words.extend([table.sequence, table.index, table.slot]));
    plan.rows.iter().for_each(|row| words.extend([row.sequence, row.from, row.count, u32::from(row.sample)]));
    plan.saves.iter().for_each(|save| {
        words.extend([save.id, save.sequence, save.index, save.dram_slot, save.valid]);
    });
    words
}

/// Packs transfers as `attentionstore_engine::wire::decode_transfers` reads them.
pub fn transfer_words(transfers: &[Transfer]) -> Vec<u32> {
    let mut words = Vec::with_capacity(transfers.len() * TRANSFER_WORDS);
    for Transfer { id, kind } in transfers {
        let (number, a, b, valid, key) = match *kind {
            TransferKind::Load { dram_slot, hbm_slot } => (0, dram_slot, hbm_slot, 0, [0; 32]),
            TransferKind::Save { hbm_slot, dram_slot, valid } => (1, hbm_slot, dram_slot, valid, [0; 32]),
            TransferKind::Read { ssd_slot, dram_slot, key, valid } => (2, ssd_slot, dram_slot, valid, key),
            TransferKind::Write { dram_slot, ssd_slot, key, valid } => (3, dram_slot, ssd_slot, valid, key),
            TransferKind::Copy { from_hbm_slot, to_hbm_slot, valid } => {
                (4, from_hbm_slot, to_hbm_slot, valid, [0; 32])
            }
            TransferKind::Flush => (5, 0, 0, 0, [0; 32]),
            TransferKind::Erase { ssd_slot } => (6, ssd_slot, 0, 0, [0; 32]),
        };
        words.extend([number, *id, a, b, valid]);
        words.extend(key.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)));
    }
    words
}

/// Unpacks events as `attentionstore_engine::wire::encode_event` writes them. Each says how long it is.
pub fn read_events(mut bytes: &[u8]) -> Vec<Told> {
    let mut events = Vec::new();
    while bytes.len() >= 8 {
        let length = (word(bytes, 4) as usize).clamp(8, bytes.len());
        let (event, rest) = bytes.split_at(length);
        events.push(match word(event, 0) {
            0 => Told::Step { step: word(event, 8), whole: all_rows_ok(event) },
            1 => Told::Transfer { id: word(event, 8), error: text(event, 24).0 },
            _ => Told::Failed { message: text(event, text(event, 8).1).0 },
        });
        bytes = rest;
    }
    events
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// A text, and where the next field begins.
fn text(bytes: &[u8], at: usize) -> (String, usize) {
    let length = word(bytes, at) as usize;
    let stored = bytes.get(at + 4..at + 4 + length).unwrap_or_default();
    (String::from_utf8_lossy(stored).into_owned(), at + 4 + length.next_multiple_of(4))
}

/// Whether no row was left out. Measurements ask for no log probabilities and never reach an answer's end, so a row is:
/// sequence, flags, filled blocks with index and key, text, and a token where one was sampled.
fn all_rows_ok(event: &[u8]) -> bool {
    const STATUS: u32 = 3;
    const HAS_TOKEN: u32 = 4;
    let mut at = 28;
    (0..word(event, 24)).all(|_| {
        let (flags, filled) = (word(event, at + 4), word(event, at + 8) as usize);
        at = text(event, at + 12 + filled * 36).1 + if flags & HAS_TOKEN != 0 { 4 } else { 0 };
        flags & STATUS == 0
    })
}

#[cfg(test)]
mod tests {
    use attentionstore_engine::event::{EngineEvent, Reason, RowResult, RowStatus, StepReply, TransferDone};
    use attentionstore_engine::plan::{PlanRow, PlanSave, TableUpdate};
    use attentionstore_engine::wire::{decode_plan, decode_transfers, encode_event};

    use super::*;

    #[test]
    fn plans_and_transfers_are_read_by_the_engine_as_they_were_meant() {
        let plan = StepPlan {
            step: 3,
            resets: vec![9],
            tables: vec![TableUpdate { sequence: 1, index: 2, slot: 4 }],
            rows: vec![PlanRow { sequence: 1, from: 128, count: 7, sample: true }],
            saves: vec![PlanSave { id: 5, sequence: 1, index: 2, dram_slot: 6, valid: 7 }],
        };
        assert_eq!(decode_plan(&plan_words(&plan)).expect("it is a plan"), plan);
        let key: [u8; 32] = std::array::from_fn(|at| at as u8);
        let kinds = [
            TransferKind::Load { dram_slot: 1, hbm_slot: 2 },
            TransferKind::Save { hbm_slot: 3, dram_slot: 4, valid: 5 },
            TransferKind::Read { ssd_slot: 6, dram_slot: 7, key, valid: 8 },
            TransferKind::Write { dram_slot: 9, ssd_slot: 10, key, valid: 11 },
            TransferKind::Copy { from_hbm_slot: 12, to_hbm_slot: 13, valid: 14 },
            TransferKind::Flush,
            TransferKind::Erase { ssd_slot: 15 },
        ];
        let transfers: Vec<Transfer> =
            kinds.into_iter().zip(20..).map(|(kind, id)| Transfer { id, kind }).collect();
        assert_eq!(decode_transfers(&transfer_words(&transfers)).expect("they are transfers"), transfers);
    }

    #[test]
    fn events_are_read_one_after_another_with_what_went_wrong() {
        let row = |status| RowResult {
            text: "ab".into(),
            filled: vec![(0, [7; 32])],
            ..RowResult::without_work(1, status)
        };
        let step = |step, rows| {
            EngineEvent::Step(StepReply { step, rows, step_ms: 1.0, load_stall_ms: 0.0, stalled_layers: 0 })
        };
        let events = [
            step(1, vec![row(RowStatus::Ok), row(RowStatus::Ok)]),
            step(2, vec![row(RowStatus::Ok), row(RowStatus::Void)]),
            EngineEvent::Transfer(TransferDone::failed(8, Reason { code: "kv_io", detail: "a disk".into() })),
            EngineEvent::Failed { code: "device", message: "it broke".into() },
        ];
        let mut bytes = Vec::new();
        events.iter().for_each(|event| encode_event(event, &mut bytes));
        let told = [
            Told::Step { step: 1, whole: true },
            Told::Step { step: 2, whole: false },
            Told::Transfer { id: 8, error: "kv_io".into() },
            Told::Failed { message: "it broke".into() },
        ];
        assert_eq!(read_events(&bytes), told);
    }
}
