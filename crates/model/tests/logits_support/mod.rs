//! How near logits are to others of the same tokens.

#![allow(dead_code, reason = "each test file uses its part")]

/// A near-tie: the reference's two greatest logits are closer than so many times the root mean square of the row's
/// differences.
const NEAR: f64 = 4.0;

/// Rows of logits held against a reference.
#[derive(Debug)]
pub struct Agreement {
    /// ‖found − reference‖ / ‖reference‖ over all rows.
    pub distance: f64,
    /// The same over the row where it is greatest.
    pub farthest: f64,
    pub rows: usize,
    /// Rows whose best tokens differ.
    pub differences: usize,
    /// Those of them that are no near-ties, in words.
    pub wide: Vec<String>,
}

impl Agreement {
    pub fn of(found: &[Vec<f32>], reference: &[Vec<f32>]) -> Self {
        let mut agreement = Self {
            distance: distance(&found.concat(), &reference.concat()),
            farthest: 0.0,
            rows: reference.len(),
            differences: 0,
            wide: Vec::new(),
        };
        assert_eq!(found.len(), reference.len(), "rows");
        for (row, (found, reference)) in found.iter().zip(reference).enumerate() {
            agreement.farthest = agreement.farthest.max(distance(found, reference));
            let ((ours, _), (theirs, margin)) = (best(found), best(reference));
            if ours != theirs {
                agreement.differences += 1;
                let (margin, bound) = (f64::from(margin), NEAR * root_mean_square(found, reference));
                // What is not a number is no near-tie either.
                if !matches!(margin.partial_cmp(&bound), Some(std::cmp::Ordering::Less)) {
                    agreement.wide.push(format!("row {row}: margin {margin}, a near-tie is below {bound}"));
                }
            }
        }
        agreement
    }

    /// Whether all is nearer than `bound`, and the best tokens differ at near-ties only.
    pub fn holds(&self, bound: f64) -> bool {
        self.distance <= bound && self.wide.is_empty()
    }

    /// Share of rows with the same best token.
    pub fn same(&self) -> f64 {
        1.0 - self.differences as f64 / self.rows as f64
    }
}

/// ‖a − b‖ / ‖b‖
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    let size = b.iter().map(|b| f64::from(*b).powi(2)).sum::<f64>();
    (squares(a, b) / size).sqrt()
}

fn root_mean_square(a: &[f32], b: &[f32]) -> f64 {
    (squares(a, b) / a.len() as f64).sqrt()
}

/// ‖a − b‖²
fn squares(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

/// The token with the greatest logit, and how far the next one is behind.
fn best(row: &[f32]) -> (usize, f32) {
    let greatest = |without: Option<usize>| {
        let others = row.iter().enumerate().filter(|(token, _)| Some(*token) != without);
        others.fold(
            (0, f32::NEG_INFINITY),
            |best, (token, &logit)| if logit > best.1 { (token, logit) } else { best },
        )
    };
    let (token, logit) = greatest(None);
    (token, logit - greatest(Some(token)).1)
}

/// Panics with the first difference in bits.
pub fn assert_same_bits(what: &str, a: &[Vec<f32>], b: &[Vec<f32>]) {
    assert_eq!(a.len(), b.len(), "{what}: rows");
    for (row, (a, b)) in a.iter().zip(b).enumerate() {
        let differs = a.iter().zip(b).position(|(a, b)| a.to_bits() != b.to_bits());
        if let Some(at) = differs {
            panic!("{what}: row {row}, element {at}: {} and {}", a[at], b[at]);
        }
        assert!(a.iter().all(|value| value.is_finite()), "{what}: row {row} is not finite");
    }
}
