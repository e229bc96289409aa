//! Random numbers that are a pure function of (seed, token index).

/// 2^64 divided by the golden ratio: SplitMix64's increment.
const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number in [0, 1) with 53 random bits: two rounds of SplitMix64's finaliser over seed and index, so that
/// neighbouring seeds and neighbouring indices share nothing.
pub fn uniform(seed: u64, index: u64) -> f64 {
    let stream = finalise(seed.wrapping_add(INCREMENT));
    let bits = finalise(stream.wrapping_add(index.wrapping_add(1).wrapping_mul(INCREMENT)));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// SplitMix64's finaliser: a bijection of 64 bits in which every input bit changes half of the output bits.
fn finalise(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::uniform;

    #[test]
    fn numbers_are_spread_evenly_over_indices_and_over_seeds() {
        let along_indices = (0..100_000).map(|index| uniform(7, index));
        let along_seeds = (0..100_000).map(|seed| uniform(seed, 3));
        for numbers in [along_indices.collect::<Vec<f64>>(), along_seeds.collect()] {
            let mut bins = [0u32; 10];
            for number in numbers {
                assert!((0.0..1.0).contains(&number));
                bins[(number * 10.0) as usize] += 1;
            }
            // 10,000 expected a bin, standard deviation 95.
            assert!(bins.iter().all(|&count| (9_500..10_500).contains(&count)), "{bins:?}");
        }
    }

    #[test]
    fn seed_and_index_are_not_interchangeable() {
        assert_ne!(uniform(1, 2), uniform(2, 1));
        assert_eq!(uniform(1, 2), uniform(1, 2));
    }
}
