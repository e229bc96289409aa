//! Matrix products against f64 sums of the same bf16 numbers.

use attentionstore_cuda::blas::{Blas, Product, ProductOutput};
use half::bf16;

use crate::support::{Gpu, Random, distance, gpu};

fn reference(x: &[bf16], weights: &[bf16], (rows, inputs, outputs): (usize, usize, usize)) -> Vec<f64> {
    (0..rows * outputs)
        .map(|at| {
            let (x, w) = (&x[at / outputs * inputs..][..inputs], &weights[at % outputs * inputs..][..inputs]);
            x.iter().zip(w).map(|(a, b)| a.to_f64() * b.to_f64()).sum()
        })
        .collect()
}

fn product(
    gpu: &Gpu,
    blas: &mut Blas,
    shape: (usize, usize, usize),
    numbers: (&[bf16], &[bf16]),
) -> (Vec<bf16>, Vec<f32>) {
    let (rows, inputs, outputs) = shape;
    let (x, weights) = (gpu.upload(numbers.0), gpu.upload(numbers.1));
    let (narrow, wide) = (gpu.poisoned(rows * outputs * 2), gpu.poisoned(rows * outputs * 4));
    for (out, kind) in [(&narrow, ProductOutput::Bf16), (&wide, ProductOutput::F32)] {
        let product = Product {
            rows,
            inputs,
            outputs,
            x: x.pointer(),
            weights: weights.pointer(),
            out: out.pointer(),
            kind,
        };
        blas.multiply(gpu.stream(), &product).unwrap();
    }
    (gpu.download(&narrow), gpu.download(&wide))
}

#[test]
fn products_of_odd_sizes_are_the_sums_of_their_terms() {
    let Some(gpu) = gpu("products_of_odd_sizes_are_the_sums_of_their_terms") else { return };
    let mut blas = match Blas::new(gpu.kernels.device()) {
        Ok(blas) => blas,
        Err(error) => return eprintln!("skipped products_of_odd_sizes_are_the_sums_of_their_terms: {error}"),
    };
    let mut random = Random(31);
    for shape in [(1, 64, 101), (3, 576, 960), (17, 72, 8), (130, 1536, 576), (256, 128, 264)] {
        let (rows, inputs, outputs) = shape;
        let (x, weights) = (random.bf16s(rows * inputs), random.bf16s(outputs * inputs));
        let wanted = reference(&x, &weights, shape);
        let (narrow, wide) = product(&gpu, &mut blas, shape, (&x, &weights));
        assert!(distance(&narrow, &wanted) < 4e-3, "{shape:?} in bf16");
        let error: f64 = wide.iter().zip(&wanted).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
        let size: f64 = wanted.iter().map(|b| b * b).sum();
        assert!((error / size).sqrt() < 1e-5, "{shape:?} in f32: {}", (error / size).sqrt());
        let again = product(&gpu, &mut blas, shape, (&x, &weights));
        assert_eq!(again, (narrow, wide), "{shape:?} twice");
    }
}

#[test]
fn a_product_that_does_not_fit_its_buffers_is_refused() {
    let Some(gpu) = gpu("a_product_that_does_not_fit_its_buffers_is_refused") else { return };
    let Ok(mut blas) = Blas::new(gpu.kernels.device()) else { return };
    let buffer = gpu.buffer(64 * 64 * 2);
    let pointer = buffer.pointer();
    let product = Product {
        rows: 64,
        inputs: 64,
        outputs: 64,
        x: pointer,
        weights: pointer,
        out: pointer,
        kind: ProductOutput::F32,
    };
    assert_eq!(blas.multiply(gpu.stream(), &product).unwrap_err().code(), "cuda_invalid");
}
