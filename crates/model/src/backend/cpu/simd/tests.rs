//! Every operation of every instruction set against the portable one, bit for bit.

use super::{Available, Isa, Kernel, LANES, Lanes, Simd};

/// Inputs of all kinds.
struct Inputs {
    a: Lanes,
    b: Lanes,
    c: Lanes,
    words: [u32; LANES],
    bytes: [u8; LANES],
    signed: [i8; LANES],
    halves: [u16; LANES],
}

impl Inputs {
    fn new(seed: u64) -> Inputs {
        let mut state = seed;
        let mut bits = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        };
        // Exponents near one another, so that additions round; every fourth may be anything finite.
        let mut number = |lane: usize| {
            let word = bits();
            if lane % 4 == 3 {
                f32::from_bits(word & 0xbfff_ffff)
            } else {
                f32::from_bits(word & 0x83ff_ffff | 0x3c00_0000)
            }
        };
        Inputs {
            a: std::array::from_fn(&mut number),
            b: std::array::from_fn(&mut number),
            c: std::array::from_fn(&mut number),
            words: std::array::from_fn(|_| bits()),
            bytes: std::array::from_fn(|_| bits() as u8),
            signed: std::array::from_fn(|_| bits() as i8),
            // No NaN: which of them a conversion gives is nobody's business.
            halves: std::array::from_fn(|_| bits() as u16 & 0xbfff),
        }
    }
}

/// The results of all operations, as bits.
struct Everything<'a>(&'a Inputs);

impl Kernel for Everything<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<u32> {
        let Inputs { a, b, c, words, bytes, signed, halves } = self.0;
        let (a, b, c) = (s.load(a), s.load(b), s.load(c));
        let (word, byte) = (s.load_u32(words), s.load_u8(bytes));
        let mut results = vec![
            s.splat(1.5),
            s.add(a, b),
            s.sub(a, b),
            s.mul(a, b),
            s.div(a, b),
            s.fma(a, b, c),
            s.max(a, b),
            s.from_bits(s.bits(a)),
            s.convert_i32(word),
            s.load_i8(signed),
            s.load_f16(halves),
            s.load_bf16(halves),
        ];
        results.extend([0, 1, 7, 8, 9, 15, 16].map(|count| s.first(count, a, b)));
        let words = [s.splat_u32(7), s.add_u32(word, byte), s.and(word, byte), s.or(word, byte)];
        let shifted = [s.shl(word, 4), s.shl(word, 23), s.shr(word, 4), s.shr(word, 16)];
        results.extend(words.into_iter().chain(shifted).map(|word| s.convert_i32(word)));
        s.prefetch(self.0.words.as_ptr().cast());
        let mut all = Vec::new();
        for result in results {
            let mut lanes = [0.0; LANES];
            s.store(result, &mut lanes);
            all.extend(lanes.map(f32::to_bits));
        }
        all.extend([s.sum_lanes(a).to_bits(), s.max_lanes(b).to_bits()]);
        all
    }
}

#[test]
fn every_operation_gives_the_bits_of_the_portable_one() {
    let portable = Available::new(Isa::Portable).unwrap();
    for isa in [Isa::Avx2, Isa::Avx512] {
        let Some(isa) = Available::new(isa) else {
            println!("skipped: {} (not on this machine)", isa.name());
            continue;
        };
        for seed in 0..2000 {
            let inputs = Inputs::new(seed);
            let (found, wanted) = (isa.run(Everything(&inputs)), portable.run(Everything(&inputs)));
            let differs = found.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
            assert_eq!(
                differs,
                None,
                "{}, seed {seed}: operation {:?}",
                isa.isa().name(),
                differs.map(|at| at / LANES)
            );
        }
    }
}
