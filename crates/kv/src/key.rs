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
    pub fn child(&self, parent: &BlockKey, tokens: &[u32], view: Option<ViewParameters>) -> BlockKey {
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

    /// The keys of all blocks of a sequence, the last partly filled one included. With `view`, it goes into
    /// the keys of the blocks that start at or after its window.
    pub fn chain(&self, root: &BlockKey, tokens: &[u32], view: Option<ViewParameters>) -> Vec<BlockKey> {
        let mut parent = *root;
        tokens
            .chunks(BLOCK_TOKENS)
            .enumerate()
            .map(|(index, block)| {
                let start = index * BLOCK_TOKENS;
                let view = view.filter(|&[window, _, _]| start as u64 >= u64::from(window));
                parent = self.child(&parent, block, view);
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
