//! Besides napi's own setup: where its macros write the types of what the addon exports, `napi-types` beside the profile's
//! outputs. `scripts/generate.ts` makes `ts/engine/native/addon.generated.ts` of them, `make check` compares.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    napi_build::setup();
    // …/release/build/attentionstore-binding-…/out
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let types = out.ancestors().nth(3).expect("cargo's own depth").join("napi-types");
    fs::create_dir_all(&types).expect("the target folder can be written");
    println!("cargo::rustc-env=NAPI_TYPE_DEF_TMP_FOLDER={}", types.display());
}
