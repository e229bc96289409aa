//! Figures since start. Counters are doubles: exact up to 2^53, which bytes a second do not reach in a century.

use attentionstore_engine::EngineStats;
use napi_derive::napi;

#[napi(object, object_from_js = false)]
pub struct BindingStats {
    pub steps: f64,
    pub compute_ms: f64,
    pub load_stall_ms: f64,
    pub stalled_layers: f64,
    pub load_bytes: f64,
    pub load_ms: f64,
    pub save_bytes: f64,
    pub save_ms: f64,
    pub read_bytes: f64,
    pub read_ms: f64,
    pub write_bytes: f64,
    pub write_ms: f64,
    pub damaged_reads: f64,
    pub dram_checked: f64,
    pub dram_damaged: f64,
    pub read_queue_depth: f64,
    pub write_queue_depth: f64,
    pub save_queue_depth: f64,
    pub load_queue_depth: f64,
    pub masks: f64,
    pub mask_ms: f64,
    pub late_rows: f64,
    pub grammars_compiled: f64,
    pub grammars_cached: f64,
    pub grammars_refused: f64,
}

impl From<EngineStats> for BindingStats {
    fn from(stats: EngineStats) -> Self {
        Self {
            steps: stats.steps as f64,
            compute_ms: stats.compute_ms,
            load_stall_ms: stats.load_stall_ms,
            stalled_layers: stats.stalled_layers as f64,
            load_bytes: stats.load_bytes as f64,
            load_ms: stats.load_ms,
            save_bytes: stats.save_bytes as f64,
            save_ms: stats.save_ms,
            read_bytes: stats.read_bytes as f64,
            read_ms: stats.read_ms,
            write_bytes: stats.write_bytes as f64,
            write_ms: stats.write_ms,
            damaged_reads: stats.damaged_reads as f64,
            dram_checked: stats.dram_checked as f64,
            dram_damaged: stats.dram_damaged as f64,
            read_queue_depth: stats.read_queue_depth as f64,
            write_queue_depth: stats.write_queue_depth as f64,
            save_queue_depth: stats.save_queue_depth as f64,
            load_queue_depth: stats.load_queue_depth as f64,
            masks: stats.masks as f64,
            mask_ms: stats.mask_ms,
            late_rows: stats.late_rows as f64,
            grammars_compiled: stats.grammars_compiled as f64,
            grammars_cached: stats.grammars_cached as f64,
            grammars_refused: stats.grammars_refused as f64,
        }
    }
}
