//! What a block costs besides the disk: memory made ready, checksums, keys. Run with `cargo bench`.

use std::hint::black_box;
use std::time::Instant;

use attentionstore_kv::header::{CODEC_PLAIN, HeaderForm, TOKENS_PURPOSE};
use attentionstore_kv::seal::Sealer;
use attentionstore_kv::{HEADER_BYTES, HostArena, KeyHasher, KvDtype, KvLayout, SliceOrder, StoredBlock};

/// SmolLM2-135M.
const LAYOUT: KvLayout =
    KvLayout { layers: 30, kv_heads: 3, head_dim: 64, dtype: KvDtype::Bf16, order: SliceOrder::KeysByDim };

fn main() {
    arena();
    checksums();
    keys();
}

fn arena() {
    let start = Instant::now();
    let arena = HostArena::new(1 << 30).expect("1 GiB of addresses");
    arena.commit_all().expect("1 GiB of memory");
    println!("host arena: {:.3} s for 1 GiB", start.elapsed().as_secs_f64());
    drop(arena);
}

fn checksums() {
    let sealer = Sealer::new(&[1; 32], TOKENS_PURPOSE);
    let form = HeaderForm { layout: LAYOUT, codec: CODEC_PLAIN, model: [2; 32], sealer };
    let block = StoredBlock { key: [1; 32], tokens: vec![1; 64], ..StoredBlock::default() };
    let payload = vec![7; LAYOUT.block_bytes()];
    let mut page = vec![0; HEADER_BYTES];
    let seconds = each(200, || form.seal(&block, &mut page, black_box(&payload)).expect("it fits"));
    let rate = LAYOUT.block_bytes() as f64 / seconds / 1e9;
    println!("seal: {:.0} us a block, {rate:.1} GB/s", seconds * 1e6);
    let seconds = each(200, || {
        drop(form.verify(&block.key, 64, &page, black_box(&payload)).expect("it was sealed"));
    });
    println!(
        "verify: {:.0} us a block, {:.1} GB/s",
        seconds * 1e6,
        LAYOUT.block_bytes() as f64 / seconds / 1e9
    );
}

fn keys() {
    let (hasher, tokens) = (KeyHasher::new([1; 32]), Vec::from_iter(0..4096));
    let seconds = each(200, || drop(black_box(hasher.chain(&[0; 32], black_box(&tokens), None))));
    println!("keys: {:.2} us a block, {:.0} us for 4,096 tokens", seconds * 1e6 / 64.0, seconds * 1e6);
}

/// Seconds of one call, the mean of `count`.
fn each(count: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..count).for_each(|_| call());
    start.elapsed().as_secs_f64() / f64::from(count)
}
