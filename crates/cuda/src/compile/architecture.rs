//! The name of a card's instruction set.

use std::fmt;

/// A target of the compiler, for instance `sm_90a`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Architecture(String);

impl Architecture {
    /// Targets that the kernels are checked for: Ampere, Hopper and the two Blackwells.
    pub fn checked() -> [Architecture; 4] {
        ["sm_80", "sm_90a", "sm_100a", "sm_120"].map(|name| Architecture(name.to_owned()))
    }

    /// The target for a compute capability. Data-centre Hopper and Blackwell take the architecture-specific
    /// set (`a`), which alone has their matrix instructions.
    ///
    /// Returns `None` below 8.0: bf16 tensor cores begin there.
    pub fn of_capability((major, minor): (i32, i32)) -> Option<Architecture> {
        let suffix = if matches!((major, minor), (9, 0) | (10, _)) { "a" } else { "" };
        (major >= 8).then(|| Architecture(format!("sm_{major}{minor}{suffix}")))
    }

    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_names_its_target_and_cards_without_bf16_tensor_cores_have_none() {
        let name = |capability| Architecture::of_capability(capability).map(|target| target.0);
        assert_eq!(name((8, 0)).as_deref(), Some("sm_80"));
        assert_eq!(name((8, 9)).as_deref(), Some("sm_89"));
        assert_eq!(name((9, 0)).as_deref(), Some("sm_90a"));
        assert_eq!(name((10, 0)).as_deref(), Some("sm_100a"));
        assert_eq!(name((12, 0)).as_deref(), Some("sm_120"));
        assert_eq!(name((7, 5)), None);
    }
}
