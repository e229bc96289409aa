//! The report: a line a measurement as it comes, a table at the end, JSON for other programs.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::statistics::Samples;

/// Raised whenever fields of the JSON change meaning.
const FORMAT: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 10⁹ bytes a second.
    GigabytesASecond,
    Gigaflops,
    Milliseconds,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::GigabytesASecond => "GB/s",
            Unit::Gigaflops => "GFLOP/s",
            Unit::Milliseconds => "ms",
        }
    }

    fn more_is_better(self) -> bool {
        self != Unit::Milliseconds
    }
}

/// The limit that a figure is held against.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// In words: which ceiling, or which sum of them.
    pub what: String,
    /// In the figure's unit.
    pub value: f64,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// `group/what/case`; `--only` looks for words in it.
    pub name: String,
    pub unit: Unit,
    pub samples: Samples,
    pub limit: Option<Limit>,
    /// A ceiling is what the machine can do: its best round. Anything else is its median.
    pub is_ceiling: bool,
}

impl Measurement {
    pub fn value(&self) -> f64 {
        match (self.is_ceiling, self.unit.more_is_better()) {
            (false, _) => self.samples.median(),
            (true, true) => self.samples.high(),
            (true, false) => self.samples.low(),
        }
    }

    /// The share of its limit that was reached; 1 is the limit, whatever the unit.
    pub fn reached(&self) -> Option<f64> {
        let Limit { value, .. } = self.limit.as_ref()?;
        Some(if self.unit.more_is_better() { self.value() / value } else { value / self.value() })
    }

    fn line(&self) -> String {
        let unit = self.unit.name();
        let Samples(samples) = &self.samples;
        let spread =
            format!("{} … {}, {} rounds", show(self.samples.low()), show(self.samples.high()), samples.len());
        let reached = match (self.reached(), &self.limit) {
            (Some(share), Some(limit)) => {
                format!("; {share:.2} of {} ({} {unit})", limit.what, show(limit.value))
            }
            _ => String::new(),
        };
        format!("{}: {} {unit} ({spread}){reached}", self.name, show(self.value()))
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "unit": self.unit.name(),
            "value": self.value(),
            "median": self.samples.median(),
            "low": self.samples.low(),
            "high": self.samples.high(),
            "samples": self.samples.0,
            "is_ceiling": self.is_ceiling,
            "limit": self.limit.as_ref().map(|limit| json!({"what": limit.what, "value": limit.value})),
            "reached": self.reached(),
        })
    }
}

/// Everything of one run, in order.
pub struct Recorder {
    machine: Machine,
    quick: bool,
    only: Option<String>,
    measurements: Vec<Measurement>,
    /// Name and reason.
    skipped: Vec<(String, String)>,
}

impl Recorder {
    pub fn new(machine: Machine, quick: bool, only: Option<String>) -> Self {
        Self { machine, quick, only, measurements: Vec::new(), skipped: Vec::new() }
    }

    pub fn quick(&self) -> bool {
        self.quick
    }

    /// Whether `--only` leaves `name` in.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|word| name.contains(word.as_str()))
    }

    /// Whether it leaves anything of a group in, so that nothing is made ready in vain.
    pub fn wants_any(&self, names: &[&str]) -> bool {
        // A word may be part of a case that only the group itself knows.
        self.only
            .as_ref()
            .is_none_or(|word| names.iter().any(|name| name.contains(word) || word.starts_with(name)))
    }

    pub fn ceiling(&mut self, name: impl Into<String>, unit: Unit, samples: Samples) -> f64 {
        let measurement = Measurement { name: name.into(), unit, samples, limit: None, is_ceiling: true };
        self.add(measurement)
    }

    pub fn figure(
        &mut self,
        name: impl Into<String>,
        unit: Unit,
        samples: Samples,
        limit: Option<Limit>,
    ) -> f64 {
        let measurement = Measurement { name: name.into(), unit, samples, limit, is_ceiling: false };
        self.add(measurement)
    }

    fn add(&mut self, measurement: Measurement) -> f64 {
        eprintln!("{}", measurement.line());
        let value = measurement.value();
        self.measurements.push(measurement);
        value
    }

    /// Says by name what was not measured, and why.
    pub fn skip(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        let (name, reason) = (name.into(), reason.into());
        eprintln!("{name}: skipped: {reason}");
        self.skipped.push((name, reason));
    }

    /// The value of a figure of this run, as a limit under the name `what`.
    pub fn limit(&self, name: &str, what: &str) -> Option<Limit> {
        let value = self.value(name)?;
        Some(Limit { what: what.to_owned(), value })
    }

    pub fn value(&self, name: &str) -> Option<f64> {
        self.measurements.iter().find(|measurement| measurement.name == name).map(Measurement::value)
    }

    /// The highest ceiling whose name begins with `prefix`.
    pub fn best(&self, prefix: &str) -> Option<f64> {
        let matching = self.measurements.iter().filter(|m| m.is_ceiling && m.name.starts_with(prefix));
        matching.map(Measurement::value).max_by(f64::total_cmp)
    }

    pub fn is_empty(&self) -> bool {
        self.measurements.is_empty() && self.skipped.is_empty()
    }

    /// A Markdown table.
    pub fn table(&self) -> String {
        let mut lines = vec![format!("{}\n", self.machine), "| | value | spread | of its limit |".to_owned()];
        lines.push("|---|---|---|---|".to_owned());
        lines.extend(self.measurements.iter().map(|measurement| {
            let (low, high) = (show(measurement.samples.low()), show(measurement.samples.high()));
            let reached = measurement.reached().map_or("–".to_owned(), |share| format!("{share:.2}"));
            let unit = measurement.unit.name();
            format!(
                "| {} | {} {unit} | {low} … {high} | {reached} |",
                measurement.name,
                show(measurement.value())
            )
        }));
        lines
            .extend(self.skipped.iter().map(|(name, reason)| format!("| {name} | skipped | {reason} | – |")));
        lines.join("\n")
    }

    pub fn json(&self) -> Value {
        let skipped = self.skipped.iter().map(|(name, reason)| json!({"name": name, "reason": reason}));
        json!({
            "format": FORMAT,
            "machine": self.machine.json(),
            "quick": self.quick,
            "measurements": self.measurements.iter().map(Measurement::json).collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
        })
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, format!("{:#}\n", self.json()))
    }
}

/// Three significant digits.
fn show(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(only: Option<&str>) -> Recorder {
        Recorder::new(Machine::default(), false, only.map(str::to_owned))
    }

    #[test]
    fn a_ceiling_is_its_best_round_and_a_figure_its_median() {
        let mut recorder = recorder(None);
        let samples = || Samples(vec![1.0, 2.0, 9.0]);
        assert_eq!(recorder.ceiling("a", Unit::GigabytesASecond, samples()), 9.0);
        assert_eq!(recorder.ceiling("b", Unit::Milliseconds, samples()), 1.0);
        assert_eq!(recorder.figure("c", Unit::GigabytesASecond, samples(), recorder.limit("a", "a")), 2.0);
        assert_eq!(recorder.best(""), Some(9.0));
        let json = recorder.json();
        assert_eq!(json["measurements"][2]["reached"], 2.0 / 9.0);
        assert_eq!(json["measurements"][2]["limit"]["value"], 9.0);
    }

    #[test]
    fn a_time_reaches_its_limit_from_above() {
        let limit = Limit { what: "nothing".into(), value: 5.0 };
        let samples = Samples(vec![10.0]);
        let (name, unit) = ("t".into(), Unit::Milliseconds);
        let measurement = Measurement { name, unit, samples, limit: Some(limit), is_ceiling: false };
        assert_eq!(measurement.reached(), Some(0.5));
    }

    #[test]
    fn only_takes_words_of_a_name_and_names_of_a_group() {
        let recorder = recorder(Some("disk/read"));
        assert!(recorder.wants("disk/read/io_uring/1 MiB/depth 4") && !recorder.wants("disk/write/io_uring"));
        assert!(recorder.wants_any(&["disk"]) && !recorder.wants_any(&["memory", "cpu"]));
    }

    #[test]
    fn what_is_skipped_is_in_table_and_json_with_its_reason() {
        let mut recorder = recorder(None);
        recorder.skip("gpu", "no card");
        assert!(recorder.table().contains("| gpu | skipped | no card |"));
        assert_eq!(recorder.json()["skipped"][0]["reason"], "no card");
        assert!(!recorder.is_empty());
    }
}
