//! Who may share blocks: the identity of everything a block's bytes depend on, under the server's own secrets.

use attentionstore_kv::key::{BlockKey, Identity, KeyHasher, tenant_salt};
use attentionstore_kv::seal::Sealer;

/// Makes the roots of key chains.
pub struct Roots {
    hasher: KeyHasher,
    server_secret: [u8; 32],
    /// Without tenant and salt.
    identity: Identity,
}

impl Roots {
    pub fn new(hash_key: [u8; 32], server_secret: [u8; 32], identity: Identity) -> Self {
        Self { hasher: KeyHasher::new(hash_key), server_secret, identity }
    }

    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// Root for one tenant and one `cache_salt`; requests with another of either share nothing.
    pub fn root(&self, tenant: &str, cache_salt: &str) -> BlockKey {
        let salt = tenant_salt(&self.server_secret, tenant);
        Identity { tenant_salt: salt, cache_salt: cache_salt.to_owned(), ..self.identity.clone() }
            .root(&self.hasher)
    }

    /// The identity without tenant or salt: what blocks of other models differ in.
    pub fn model(&self) -> [u8; 32] {
        self.identity.root(&self.hasher)
    }

    /// Its hex.
    pub fn fingerprint(&self) -> String {
        hex(&self.model())
    }

    /// Seals under a key of this purpose.
    pub fn sealer(&self, purpose: &str) -> Sealer {
        Sealer::new(&self.server_secret, purpose)
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
