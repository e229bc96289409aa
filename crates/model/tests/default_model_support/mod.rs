//! Where the default model lies, if it does.

use std::path::PathBuf;

pub fn default_model() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let path = cache.join("attentionstore/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    path.exists().then_some(path)
}
