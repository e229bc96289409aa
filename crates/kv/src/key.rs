//! Block keys: a keyed BLAKE3 hash of everything that a block's bytes depend on, chained from block to block.

use blake3::Hasher;

use crate::layout::BLOCK_TOKENS;

/// 256 bits that name a block's content.
pub type BlockKey = [u8; 32];

/// Window, kept head and step of a view: [W, S, D] in tokens.
pub type ViewParameters = [u32; 3];

const ROOT: &[u8] = b"attentionstore root 1";
const BLOCK: &[u8] = b"attentionstore block 1";
const TENANT: &[u8] = b"attentionstore tenant 1";

/// Makes keys under one server's secret hash key, so that nobody else can guess or forge them.
#[derive(Clone)]
pub struct KeyHasher {
    hash_key: [u8; 32],
}

impl KeyHasher {
    pub fn new(hash_key: [u8; 32]) -> Self {
        Self { hash_key }
    }

    /// The key that first blocks continue: a hash of named byte fields. Names and values are hashed with their
    /// lengths, so no two different lists look alike.
    pub fn root(&self, fields: &[(&str, &[u8])]) -> BlockKey {
        let mut hasher = self.hasher(ROOT);
        hasher.update(&(fields.len() as u64).to_le_bytes());
        for (name, value) in fields {
            update_sized(&mut hasher, name.as_bytes());
            update_sized(&mut hasher, value);
        }
        hasher.finalize().into()
    }

    /// The key of a block of `tokens` after the block (or root) `parent`. `view` only for a block that starts
    /// at or after the window's end, so that other window flags do not lose what does not depend on them.
    fn child(&self, parent: &BlockKey, tokens: &[u32], view: Option<ViewParameters>) -> BlockKey {
        let mut hasher = self.hasher(BLOCK);
        hasher.update(parent);
        hasher.update(&(tokens.len() as u64).to_le_bytes());
        for piece in tokens.chunks(BLOCK_TOKENS) {
            let mut bytes = [0; 4 * BLOCK_TOKENS];
            for (slot, token) in bytes.chunks_exact_mut(4).zip(piece) {
                slot.copy_from_slice(&token.to_le_bytes());
            }
            hasher.update(&bytes[..4 * piece.len()]);
        }
        hasher.update(&[u8::from(view.is_some())]);
        for parameter in view.into_iter().flatten() {
            hasher.update(&parameter.to_le_bytes());
        }
        hasher.finalize().into()
    }

    /// The key of block `index` of a sequence. `view` goes into it only if the block starts at or after the window.
    pub fn block(
        &self,
        parent: &BlockKey,
        index: usize,
        tokens: &[u32],
        view: Option<ViewParameters>,
    ) -> BlockKey {
        let start = (index * BLOCK_TOKENS) as u64;
        self.child(parent, tokens, view.filter(|&[window, _, _]| start >= u64::from(window)))
    }

    /// The keys of all blocks of a sequence, the last partly filled one included.
    pub fn chain(&self, root: &BlockKey, tokens: &[u32], view: Option<ViewParameters>) -> Vec<BlockKey> {
        let mut parent = *root;
        tokens
            .chunks(BLOCK_TOKENS)
            .enumerate()
            .map(|(index, block)| {
                parent = self.block(&parent, index, block, view);
                parent
            })
            .collect()
    }

    fn hasher(&self, domain: &[u8]) -> Hasher {
        let mut hasher = Hasher::new_keyed(&self.hash_key);
        update_sized(&mut hasher, domain);
        hasher
    }
}

impl std::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHasher(secret)")
    }
}

/// Everything that makes KV bytes compatible: two servers with equal identities may share blocks, and nothing
/// else ever matches. Tokenizer and template are not in it; they belong to the token records of answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// [`crate::weights::weights_hash`] of all weight files.
    pub weights: [u8; 32],
    /// Normalised configuration: dimensions, eps, RoPE parameters, activation, biases, QK norm.
    pub config: String,
    /// How the weights are stored, e.g. `q4_1`.
    pub quantisation: String,
    /// Element type of K and V, e.g. `bf16`.
    pub kv_dtype: String,
    /// Codec of stored blocks, with its parameters.
    pub codec: String,
    /// Version of the order of elements in a slice.
    pub layout_version: u32,
    /// Backend and kernel generation; on a GPU its architecture.
    pub numerics: String,
    /// [`tenant_salt`] of the tenant.
    pub tenant_salt: [u8; 32],
    /// The request's `cache_salt`, empty if it has none.
    pub cache_salt: String,
}

impl Identity {
    /// The root key of all sequences with this identity.
    pub fn root(&self, hasher: &KeyHasher) -> BlockKey {
        hasher.root(&[
            ("weights", &self.weights),
            ("config", self.config.as_bytes()),
            ("quantisation", self.quantisation.as_bytes()),
            ("kv_dtype", self.kv_dtype.as_bytes()),
            ("codec", self.codec.as_bytes()),
            ("layout_version", &self.layout_version.to_le_bytes()),
            ("numerics", self.numerics.as_bytes()),
            ("tenant_salt", &self.tenant_salt),
            ("cache_salt", self.cache_salt.as_bytes()),
        ])
    }
}

/// A message authentication code of the tenant's name under the server's secret: tenants cannot meet in a key,
/// and cannot compute each other's.
pub fn tenant_salt(server_secret: &[u8; 32], tenant: &str) -> [u8; 32] {
    let mut hasher = Hasher::new_keyed(server_secret);
    update_sized(&mut hasher, TENANT);
    update_sized(&mut hasher, tenant.as_bytes());
    hasher.finalize().into()
}

fn update_sized(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn hasher() -> KeyHasher {
        KeyHasher::new([7; 32])
    }

    #[test]
    fn every_part_of_the_identity_changes_the_root() {
        let base = Identity::default();
        let text = |text: &str| text.to_owned();
        let variants = [
            base.clone(),
            Identity { weights: [1; 32], ..base.clone() },
            Identity { config: text("x"), ..base.clone() },
            Identity { quantisation: text("x"), ..base.clone() },
            Identity { kv_dtype: text("x"), ..base.clone() },
            Identity { codec: text("x"), ..base.clone() },
            Identity { layout_version: 1, ..base.clone() },
            Identity { numerics: text("x"), ..base.clone() },
            Identity { tenant_salt: [1; 32], ..base.clone() },
            Identity { cache_salt: text("x"), ..base.clone() },
        ];
        let roots: HashSet<_> = variants.iter().map(|identity| identity.root(&hasher())).collect();
        assert_eq!(roots.len(), variants.len());
        assert_ne!(base.root(&hasher()), base.root(&KeyHasher::new([8; 32])));
    }

    #[test]
    fn lists_of_fields_that_concatenate_alike_have_different_roots() {
        let lists: [&[(&str, &[u8])]; 6] = [
            &[],
            &[("", b"")],
            &[("ab", b"c")],
            &[("a", b"bc")],
            &[("a", b"b"), ("", b"c")],
            &[("a", b""), ("b", b"c")],
        ];
        let roots: HashSet<_> = lists.iter().map(|list| hasher().root(list)).collect();
        assert_eq!(roots.len(), lists.len());
    }

    #[test]
    fn tenants_and_servers_have_salts_of_their_own() {
        let salts = [
            tenant_salt(&[1; 32], ""),
            tenant_salt(&[1; 32], "a"),
            tenant_salt(&[1; 32], "b"),
            tenant_salt(&[2; 32], "a"),
        ];
        assert_eq!(HashSet::from(salts).len(), salts.len());
    }

    #[test]
    fn keys_stay_the_same_from_release_to_release() {
        // What is on users' disks was written under these; a change loses all of it and needs a changelog line.
        let root = hasher().root(&[("name", b"value")]);
        let tokens: Vec<u32> = (0..130).collect();
        let keys = hasher().chain(&root, &tokens, Some([64, 64, 64]));
        let hex = |key: &BlockKey| blake3::Hash::from_bytes(*key).to_hex().to_string();
        let found: Vec<_> =
            std::iter::once(&root).chain(&keys).map(|key| hex(key)[..16].to_owned()).collect();
        assert_eq!(found, ["9c9fe065e3ca5c1d", "e0543eb344ef8ce1", "2af4fdfdaf301d9d", "324d40ab95d6aacf"]);
    }

    #[test]
    fn the_view_counts_only_for_blocks_at_or_after_the_window() {
        let tokens: Vec<u32> = (0..64 * 6).collect();
        let root = [0; 32];
        let plain = hasher().chain(&root, &tokens, None);
        let wide = hasher().chain(&root, &tokens, Some([256, 64, 128]));
        let other = hasher().chain(&root, &tokens, Some([256, 64, 64]));
        assert_eq!(plain[..4], wide[..4]);
        assert_eq!(wide[..4], other[..4]);
        for block in 4..6 {
            assert_eq!(HashSet::from([plain[block], wide[block], other[block]]).len(), 3, "block {block}");
        }
    }

    #[test]
    fn a_sequence_without_tokens_has_no_blocks() {
        assert!(hasher().chain(&[0; 32], &[], None).is_empty());
    }

    fn tokens() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec(0u32..4, 0..200)
    }

    proptest! {
        /// Two sequences share exactly the keys of the blocks up to their first difference.
        #[test]
        fn keys_are_shared_exactly_as_far_as_the_tokens_are(a in tokens(), b in tokens()) {
            let (root, hasher) = ([3; 32], hasher());
            let (keys_a, keys_b) = (hasher.chain(&root, &a, None), hasher.chain(&root, &b, None));
            prop_assert_eq!(keys_a.len(), a.len().div_ceil(BLOCK_TOKENS));
            for (index, (key_a, key_b)) in keys_a.iter().zip(&keys_b).enumerate() {
                let end = (index + 1) * BLOCK_TOKENS;
                let same = a[..end.min(a.len())] == b[..end.min(b.len())];
                prop_assert_eq!(key_a == key_b, same, "block {}", index);
            }
        }

        /// No two blocks of one chain have the same key, not even where the tokens repeat.
        #[test]
        fn the_place_in_the_chain_is_part_of_a_key(token in 0u32..9, count in 1usize..400) {
            let keys = hasher().chain(&[3; 32], &vec![token; count], None);
            let distinct: HashSet<_> = keys.iter().collect();
            prop_assert_eq!(distinct.len(), keys.len());
        }
    }
}
