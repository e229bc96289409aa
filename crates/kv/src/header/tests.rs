use proptest::prelude::*;

use super::*;
use crate::key::KeyHasher;

const LAYOUT: KvLayout =
    KvLayout { layers: 2, kv_heads: 1, head_dim: 8, dtype: KvDtype::Bf16, order: SliceOrder::KeysByDim };
const SECRET: [u8; 32] = [5; 32];

fn form() -> HeaderForm {
    let sealer = Sealer::new(&SECRET, TOKENS_PURPOSE);
    HeaderForm { layout: LAYOUT, codec: CODEC_PLAIN, model: [0x11; 32], sealer }
}

fn block() -> StoredBlock {
    StoredBlock {
        key: [0x42; 32],
        parent: [0x41; 32],
        index: 70,
        view: Some([4096, 64, 1024]),
        last_use: 1_800_000_000_123,
        tokens: (0..40).map(|at| 100_000 + 7 * at).collect(),
    }
}

fn payload() -> Vec<u8> {
    (0..LAYOUT.block_bytes()).map(|at| (at * 31 % 251) as u8).collect()
}

/// Header page and payload.
fn sealed(block: &StoredBlock) -> Vec<u8> {
    let payload = payload();
    let mut page = vec![0xee; HEADER_BYTES];
    form().seal(block, &mut page, &payload).unwrap();
    page.extend(payload);
    page
}

fn verify(form: &HeaderForm, key: &BlockKey, valid: usize, slot: &[u8]) -> Result<StoredBlock, Refusal> {
    let (page, payload) = slot.split_at(HEADER_BYTES);
    form.verify(key, valid, page, payload)
}

fn verify_own(slot: &[u8]) -> Result<StoredBlock, Refusal> {
    verify(&form(), &block().key, block().tokens.len(), slot)
}

/// The header's checksum made right again, as one who forges it could.
fn with_right_checksum(mut slot: Vec<u8>) -> Vec<u8> {
    let checksum = xxh3_128(&slot[..CHECKSUM.start]).to_le_bytes();
    slot[CHECKSUM].copy_from_slice(&checksum);
    slot
}

#[test]
fn what_was_sealed_is_accepted_and_read_from_the_header_alone() {
    let slot = sealed(&block());
    assert_eq!(verify_own(&slot), Ok(block()));
    assert_eq!(form().read(&slot[..HEADER_BYTES]), Ok(block()));
}

#[test]
fn a_header_holds_what_its_blocks_key_is_made_of() {
    let hasher = KeyHasher::new([9; 32]);
    let tokens: Vec<u32> = (0..64).collect();
    let view = Some([64, 64, 64]);
    let key = hasher.block(&[3; 32], 2, &tokens, view);
    let slot = sealed(&StoredBlock { key, parent: [3; 32], index: 2, view, tokens, ..block() });
    let read = form().read(&slot[..HEADER_BYTES]).unwrap();
    assert_eq!(hasher.block(&read.parent, read.index as usize, &read.tokens, read.view), read.key);
}

#[test]
fn another_block_is_refused_with_the_reason() {
    let slot = sealed(&block());
    let refused = |key: [u8; 32], valid| verify(&form(), &key, valid, &slot).unwrap_err();
    assert_eq!(refused([0x43; 32], 40), Refusal::Damaged("another block's key"));
    for valid in [39, 41, 0, 65, usize::MAX] {
        assert_eq!(refused([0x42; 32], valid), Refusal::Damaged("another valid length"));
    }
    assert_eq!(verify_own(&vec![0; slot.len()]), Err(Refusal::Damaged("it is not a block")));
}

#[test]
fn a_block_of_another_model_layout_codec_version_or_secret_is_foreign() {
    let slot = sealed(&block());
    let other_layout = KvLayout { layers: 1, kv_heads: 2, ..LAYOUT };
    let others = [
        (HeaderForm { model: [0x12; 32], ..form() }, "another model"),
        (HeaderForm { layout: other_layout, ..form() }, "another layout or codec"),
        (HeaderForm { codec: 1, ..form() }, "another layout or codec"),
        (
            HeaderForm { sealer: Sealer::new(&[6; 32], TOKENS_PURPOSE), ..form() },
            "its tokens were sealed under another secret",
        ),
        (
            HeaderForm { sealer: Sealer::new(&SECRET, "other"), ..form() },
            "its tokens were sealed under another secret",
        ),
    ];
    for (other, reason) in others {
        assert_eq!(other.read(&slot[..HEADER_BYTES]), Err(Refusal::Foreign(reason)));
    }
}

/// As servers wrote it before version 2: key at 40, one checksum over page and payload.
#[test]
fn a_header_of_version_1_is_foreign() {
    let payload = payload();
    let mut page = vec![0; HEADER_BYTES];
    page[..8].copy_from_slice(&MAGIC);
    page[8..28].copy_from_slice(&geometry(&LAYOUT, CODEC_PLAIN));
    page[8..12].copy_from_slice(&1u32.to_le_bytes());
    page[28..32].copy_from_slice(&40u32.to_le_bytes());
    page[32..40].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    page[40..72].fill(0x42);
    let mut hasher = Xxh3::new();
    hasher.update(&page[..CHECKSUM.start]);
    hasher.update(&payload);
    page[CHECKSUM].copy_from_slice(&hasher.digest128().to_le_bytes());
    page.extend(payload);
    assert_eq!(verify_own(&page), Err(Refusal::Foreign("another version of the header")));
}

#[test]
fn a_header_before_another_blocks_payload_is_refused() {
    let mut slot = sealed(&block());
    slot[HEADER_BYTES + 5] ^= 1;
    assert_eq!(verify_own(&slot), Err(Refusal::Damaged("the payload's checksum does not match")));
}

#[test]
fn no_field_in_clear_can_be_changed_without_the_secret_even_with_a_right_checksum() {
    for at in (8..TOKENS.end).filter(|at| !GEOMETRY.contains(at) && !MODEL.contains(at)) {
        let mut slot = sealed(&block());
        slot[at] ^= 0x20;
        assert!(verify_own(&with_right_checksum(slot.clone())).is_err(), "byte {at}");
        assert!(form().read(&with_right_checksum(slot)[..HEADER_BYTES]).is_err(), "byte {at}");
    }
}

#[test]
fn the_tokens_of_another_header_are_refused() {
    let other = StoredBlock { key: [0x43; 32], ..block() };
    let (mut slot, other) = (sealed(&block()), sealed(&other));
    let moved = NONCE.start..TOKENS.end;
    slot[moved.clone()].copy_from_slice(&other[moved]);
    assert!(matches!(verify_own(&with_right_checksum(slot)), Err(Refusal::Foreign(_))));
}

#[test]
fn token_ids_stand_nowhere_in_clear_and_two_seals_of_a_block_differ() {
    let (slot, again) = (sealed(&block()), sealed(&block()));
    for token in block().tokens {
        let bytes = token.to_le_bytes();
        assert!(!slot[..HEADER_BYTES].windows(4).any(|window| window == bytes), "{token}");
    }
    assert_ne!(slot[TOKENS], again[TOKENS]);
}

#[test]
fn lengths_that_cannot_be_are_refused_and_do_not_panic() {
    let slot = sealed(&block());
    for cut in [0, 1, 7, 8, 100, TOKENS.start, HEADER_BYTES - 1] {
        assert!(form().read(&slot[..cut]).is_err(), "{cut} bytes");
        assert!(
            form().verify(&block().key, 40, &slot[..HEADER_BYTES], &slot[HEADER_BYTES..][..cut]).is_err()
        );
        assert!(form().seal(&block(), &mut vec![0; cut], &payload()).is_err());
    }
    for tokens in [vec![], vec![1; 65]] {
        let mut page = vec![0; HEADER_BYTES];
        assert!(form().seal(&StoredBlock { tokens, ..block() }, &mut page, &payload()).is_err());
    }
}

#[test]
fn every_flipped_bit_of_the_page_is_refused() {
    let slot = sealed(&block());
    for byte in 0..HEADER_BYTES {
        for bit in if (TOKENS.end..CHECKSUM.start).contains(&byte) { 0..1 } else { 0..8 } {
            let mut damaged = slot.clone();
            damaged[byte] ^= 1 << bit;
            assert!(form().read(&damaged[..HEADER_BYTES]).is_err(), "bit {bit} of byte {byte}");
        }
    }
}

#[test]
fn fingerprints_differ_between_all_layouts_that_share_a_slot_size() {
    let mut seen = std::collections::HashSet::new();
    for (layers, kv_heads, head_dim) in [(2, 1, 8), (1, 2, 8), (1, 1, 16), (2, 2, 4), (4, 1, 4)] {
        for (dtype, order) in [
            (KvDtype::Bf16, SliceOrder::KeysByDim),
            (KvDtype::Bf16, SliceOrder::TokensFirst),
            (KvDtype::F32, SliceOrder::KeysByDim),
        ] {
            let layout = KvLayout { layers, kv_heads, head_dim, dtype, order };
            assert!(seen.insert(fingerprint(&layout, CODEC_PLAIN)), "{layout:?}");
        }
    }
    assert!(seen.insert(fingerprint(&LAYOUT, 1)));
}

fn blocks() -> impl Strategy<Value = StoredBlock> {
    let view = prop::option::of(any::<[u32; 3]>().prop_filter("a view has a window", |view| view[0] > 0));
    let tokens = prop::collection::vec(any::<u32>(), 1..=BLOCK_TOKENS);
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<u32>(), view, any::<u64>(), tokens).prop_map(
        |(key, parent, index, view, last_use, tokens)| StoredBlock {
            key,
            parent,
            index,
            view,
            last_use,
            tokens,
        },
    )
}

proptest! {
    /// Any block comes back from its header as it was.
    #[test]
    fn any_block_survives_its_header(block in blocks()) {
        let slot = sealed(&block);
        prop_assert_eq!(form().read(&slot[..HEADER_BYTES]), Ok(block.clone()));
        prop_assert_eq!(verify(&form(), &block.key, block.tokens.len(), &slot), Ok(block));
    }

    /// Any damage anywhere in page or payload is found: some bytes changed at random.
    #[test]
    fn any_change_of_page_or_payload_is_detected(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..=255), 1..4)
    ) {
        let slot = sealed(&block());
        let mut damaged = slot.clone();
        for (at, change) in changes {
            damaged[at.index(slot.len())] ^= change;
        }
        prop_assert_eq!(verify_own(&damaged).is_ok(), damaged == slot);
    }

    /// A write that was cut anywhere, over whatever was there before, is found.
    #[test]
    fn a_torn_write_is_detected(cut in any::<prop::sample::Index>(), before in any::<u8>()) {
        let slot = sealed(&block());
        let mut torn = slot.clone();
        torn[cut.index(slot.len())..].fill(before);
        prop_assert_eq!(verify_own(&torn).is_ok(), torn == slot);
    }

    /// Bytes of any kind are a refusal, never a panic.
    #[test]
    fn any_page_is_a_block_or_a_refusal(bytes in prop::collection::vec(any::<u8>(), 0..600), magic in any::<bool>()) {
        let mut page = bytes;
        page.resize(HEADER_BYTES, 0);
        if magic {
            page[..8].copy_from_slice(&MAGIC);
            page[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        }
        prop_assert!(form().read(&with_right_checksum(page)).is_err());
    }
}
