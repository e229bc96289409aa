//! The reference expansion of stored weights, held against the `gguf` package's (see `test/fixtures/make_models.py`).

mod fixtures;

use std::fs;

use attentionstore_model::weights::WeightDtype;
use attentionstore_model::weights::dequantize::dequantize;
use safetensors::SafeTensors;

use crate::fixtures::models;

const FORMATS: [(&str, WeightDtype); 9] = [
    ("F32", WeightDtype::F32),
    ("F16", WeightDtype::F16),
    ("BF16", WeightDtype::Bf16),
    ("Q8_0", WeightDtype::Q8_0),
    ("Q4_0", WeightDtype::Q4_0),
    ("Q4_1", WeightDtype::Q4_1),
    ("Q4_K", WeightDtype::Q4K),
    ("Q5_K", WeightDtype::Q5K),
    ("Q6_K", WeightDtype::Q6K),
];

#[test]
fn every_format_expands_to_the_same_bits_as_the_reference() {
    let file = fs::read(models().join("dequantize.safetensors")).expect("fixture");
    let file = SafeTensors::deserialize(&file).expect("safetensors");
    for (name, dtype) in FORMATS {
        let bytes = file.tensor(&format!("{name}.bytes")).expect("bytes");
        let values = file.tensor(&format!("{name}.values")).expect("values");
        let wanted: Vec<f32> = values
            .data()
            .chunks_exact(4)
            .map(|value| f32::from_le_bytes(value.try_into().expect("4 bytes")))
            .collect();
        let mut given = vec![f32::NAN; wanted.len()];
        dequantize(dtype, bytes.data(), &mut given);
        assert!(wanted.iter().any(|value| *value != 0.0), "{name}");
        assert_eq!(given, wanted, "{name}");
    }
}
