//! Recorded work.

use attentionstore_cuda::CudaError;
use attentionstore_cuda::launch::Argmax;
use attentionstore_cuda::runtime::Graph;

use crate::support::{Random, gpu};

#[test]
fn recorded_work_runs_when_it_is_launched_and_reads_what_is_there_then() {
    let Some(gpu) = gpu("recorded_work_runs_when_it_is_launched") else { return };
    let vocabulary = 1000;
    let (logits, tokens) = (gpu.upload(&Random(4).floats(vocabulary)), gpu.poisoned(4));
    let launch = Argmax { rows: 1, vocabulary, logits: logits.pointer(), tokens: tokens.pointer() };
    let graph = Graph::record(gpu.stream(), || gpu.kernels.argmax(gpu.stream(), &launch)).unwrap();
    assert_eq!(gpu.download::<u32>(&tokens), [0xdede_dede], "recording runs nothing");
    for best in [17_u32, 999, 0] {
        let mut row = vec![0.0_f32; vocabulary];
        row[best as usize] = 1.0;
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        logits.write(gpu.stream(), 0, &bytes).unwrap();
        graph.launch(gpu.stream()).unwrap();
        assert_eq!(gpu.download::<u32>(&tokens), [best]);
    }
}

#[test]
fn work_that_cannot_be_enqueued_is_not_recorded_and_leaves_the_stream_usable() {
    let Some(gpu) = gpu("work_that_cannot_be_enqueued_is_not_recorded") else { return };
    let tokens = gpu.buffer(4);
    let launch = Argmax { rows: 1, vocabulary: 10, logits: tokens.pointer(), tokens: tokens.pointer() };
    let recorded: Result<Graph, CudaError> =
        Graph::record(gpu.stream(), || gpu.kernels.argmax(gpu.stream(), &launch));
    assert_eq!(recorded.err().map(|error| error.code()), Some("cuda_invalid"));
    tokens.fill(gpu.stream(), 1).unwrap();
    assert_eq!(gpu.download::<u32>(&tokens), [0x0101_0101]);
}
